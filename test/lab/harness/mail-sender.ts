import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClientHost } from '../../../src/lab/client-host.ts';
import type { Scenario } from '../../../src/lab/scenario.ts';
import { startProgram } from '../../../src/system/start-program.ts';
import { until } from './processes.ts';

/** A mail that the server said it would deliver. */
export interface AcceptedMail {
  readonly number: number;
  readonly to: string;
  /** Milliseconds of the epoch. */
  readonly at: number;
}

/** A client that sends numbered mails by SMTP, one after the other, and notes those that were accepted. */
export interface MailSender {
  accepted(): Promise<readonly AcceptedMail[]>;
  /** From the next mail on it sends to this server. */
  sendTo(server: string): Promise<void>;
  /** Resolves with the first mail accepted that was sent after this was called. */
  goesOn(seconds: number): Promise<AcceptedMail>;
  stop(): Promise<void>;
}

/** Every fourth mail is for `away`, the others are for `user`. A mail that is not accepted is not sent again. */
const script = `servers=$1 user=$2 away=$3 accepted=$4
n=0
while :; do
  n=$((n + 1))
  read -r server <"$servers"
  to=$user
  [ $((n % 4)) -ne 0 ] || to=$away
  printf 'From: <sender@client.example>\\r\\nTo: <%s>\\r\\nSubject: mail %s\\r\\n\\r\\nText.\\r\\n' "$to" "$n" |
    curl --silent --show-error --max-time 15 --upload-file - --mail-from sender@client.example \\
      --mail-rcpt "$to" "smtp://$server/client.example" &&
    echo "$n $to $(date +%s%3N)" >>"$accepted"
  sleep 0.5
done
`;

export async function startSender(
  lab: Scenario,
  from: ClientHost,
  server: string,
  user: string,
  away: string,
): Promise<MailSender> {
  const { root } = lab.lab.folder;
  const file = join(root, 'accepted');
  const servers = join(root, 'server');
  const sendTo = (address: string) => writeFile(servers, `${address}\n`);
  await writeFile(file, '');
  await sendTo(server);
  const args = ['-c', script, 'sender', servers, user, away, file];
  const running = await startProgram(...from.inside('sh', args), { log: join(root, 'sender.log') });
  const accepted = async () =>
    (await readFile(file, 'utf8'))
      .split('\n')
      .slice(0, -1)
      .map((line): AcceptedMail => {
        const [number, to = '', at] = line.split(' ');
        return { number: Number(number), to, at: Number(at) };
      });
  return {
    accepted,
    sendTo,
    async goesOn(seconds) {
      const before = (await accepted()).length;
      let next: AcceptedMail | undefined;
      // One may have been under way.
      await until('mail is accepted again', seconds, async () => {
        next = (await accepted())[before + 1];
        return next !== undefined;
      });
      return next ?? { number: 0, to: '', at: 0 };
    },
    stop: async () => {
      await running.stop();
    },
  };
}

/** Numbers of the mails in a mailbox, by IMAP with STARTTLS, each as often as it is there. */
export async function readNumbers(
  from: ClientHost,
  server: string,
  login: string,
): Promise<readonly number[]> {
  const options = ['--silent', '--show-error', '--max-time', '180', '--ssl-reqd', '--insecure'];
  const curl = async (...args: readonly string[]) =>
    (await from.run('curl', [...options, '--user', login, ...args])).stdout;
  const status = await curl(`imap://${server}/`, '--request', 'STATUS INBOX (MESSAGES)');
  const [, count] = /MESSAGES (\d+)/.exec(status) ?? [];
  if (Number(count) === 0) return [];
  return numbersIn(await curl(`imap://${server}/INBOX;MAILINDEX=[1-${count}]`));
}

/** Numbers of the mails in a text, by their subjects. */
export function numbersIn(text: string): readonly number[] {
  return [...text.matchAll(/^Subject: mail (\d+)\r?$/gm)].map(([, number]) => Number(number));
}
