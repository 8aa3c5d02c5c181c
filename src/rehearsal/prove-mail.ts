import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientHost } from '../lab/client-host.ts';
import type { Mailbox } from './add-mailbox.ts';
import type { MailProof } from './plan-rehearsal.ts';
import { clientOn, comeBack, type Run, since, tell } from './run.ts';

/** A mail that a server has accepted. */
export interface SentMail {
  readonly proof: MailProof;
  /** What its subject has, and no other mail's. */
  readonly token: string;
}

/**
 * Proves for each address that a mail which is handed in there is read there, and that those of `before` still
 * are. Gives back all that were accepted.
 */
export async function proveMail(
  run: Run,
  proofs: readonly MailProof[],
  mailbox: Mailbox,
  before: readonly SentMail[],
): Promise<readonly SentMail[]> {
  const accepted: SentMail[] = [...before];
  for (const proof of proofs) {
    const from = Date.now();
    const { service, address, readPort } = proof;
    const again = before.length > 0 ? ', after the losses' : '';
    const told = {
      group: 'mail',
      title: `${service}: a mail handed in at ${address}:25 is read at ${address}:${readPort}${again}`,
    } as const;
    const client = await clientOn(run, proof.network);
    const token = randomUUID();
    const problem = await untilDone(() => send(client, proof, mailbox, token));
    const sent = since(from);
    if (problem !== '') {
      tell(run, { ...told, outcome: 'failed', seconds: sent, detail: `not taken: ${problem}` });
      continue;
    }
    accepted.push({ proof, token });
    const mine = accepted.filter((mail) => mail.proof === proof);
    const unread = await untilDone(() => findAll(client, proof, mailbox, mine));
    const number = mine.length === 1 ? 'it' : `all ${mine.length}`;
    tell(run, {
      ...told,
      outcome: unread === '' ? 'passed' : 'failed',
      seconds: since(from),
      detail:
        unread === ''
          ? `taken after ${sent.toFixed(1)} s, ${number} read after ${since(from).toFixed(1)} s`
          : unread,
    });
  }
  return accepted;
}

/** Tries until it gives no problem, for as long as a service may be away; the last problem. */
async function untilDone(attempt: () => Promise<string>): Promise<string> {
  const from = Date.now();
  for (;;) {
    const problem = await attempt();
    if (problem === '' || since(from) > comeBack) return problem;
    await sleep(1_000);
  }
}

const common = ['--silent', '--show-error', '--max-time', '20'];

async function send(
  client: ClientHost,
  { address }: MailProof,
  mailbox: Mailbox,
  token: string,
): Promise<string> {
  const sender = 'rehearsal@client.example.net';
  const text = `From: <${sender}>\r\nTo: <${mailbox.address}>\r\nSubject: ${token}\r\n\r\nA rehearsal.\r\n`;
  return curl(client, [
    ...['--url', `smtp://${address}:25/client.example.net`],
    ...['--mail-from', sender, '--mail-rcpt', mailbox.address, '--upload-file', '-'],
    text,
  ]).then(({ problem }) => problem);
}

/** Empty where the mailbox has each of the mails, else what is wrong. */
async function findAll(
  client: ClientHost,
  { address, readPort }: MailProof,
  mailbox: Mailbox,
  mails: readonly SentMail[],
): Promise<string> {
  const scheme = readPort === 993 ? 'imaps' : 'imap';
  for (const { token } of mails) {
    const { said, problem } = await curl(client, [
      // Whose certificate it is, a client asks its user.
      ...['--ssl-reqd', '--insecure', '--user', `${mailbox.address}:${mailbox.password}`],
      ...['--url', `${scheme}://${address}:${readPort}/INBOX`],
      ...['--request', `SEARCH SUBJECT ${token}`],
      '',
    ]);
    if (problem !== '') return `not read: ${problem}`;
    if (!/^\* SEARCH \d/m.test(said)) return 'it was taken and is not in the mailbox';
  }
  return '';
}

/** curl(1) on a client machine; its last argument is what it is given to read. */
async function curl(client: ClientHost, args: readonly string[]) {
  const input = args.at(-1) ?? '';
  const { stdout, stderr, exitCode } = await client.run('curl', [...common, ...args.slice(0, -1)], {
    input,
    accept: Array.from({ length: 99 }, (_, i) => i + 1),
  });
  const last = stderr.trim().split('\n').at(-1) ?? '';
  return { said: stdout, problem: exitCode === 0 ? '' : last || `curl ended with ${exitCode}` };
}
