import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Capture } from '../../src/lab/capture.ts';
import type { ClientHost } from '../../src/lab/client-host.ts';
import type { Scenario } from '../../src/lab/scenario.ts';
import { labScenario } from '../lab/harness/lab-under-test.ts';
import {
  type MailSender,
  numbersIn,
  readNumbers,
  startSender,
} from '../lab/harness/mail-sender.ts';
import { until } from '../lab/harness/processes.ts';

const site = resolve(import.meta.dirname, '../lab/sites/mail');
const addresses = { mail1: '10.77.0.22', rack1: '10.77.0.21' } as const;
const user = 'ops@post.example';
const away = 'away@post.example';
/** Four guests share two cores with whatever else the machine does. */
const patience = 420;

const tell = (text: string) => process.stderr.write(`lab: mail: ${text}\n`);
const since = (start: number, end = Date.now()) => `${((end - start) / 1000).toFixed(1)} s`;

it('a mail server that dies is replaced by one command, with every mail; who returns waits, writes nothing and is shut out', async () => {
  await labScenario({ name: 'mail survives', site }, async (lab) => {
    await waitsForItsVolume(lab);
    const client = await lab.host('boot', 'client', '10.77.0.60');
    const sender = await startSender(lab, client, addresses.mail1, user, away);
    await diesAndIsReplaced(lab, { client, sender });
    await returnsAndWaits(lab, { client, sender });
    await losesItsRole(lab);
    await everyMailIsThere(lab, { client, sender });
  });
});

type Server = keyof typeof addresses;

interface Mails {
  readonly client: ClientHost;
  readonly sender: MailSender;
}

/** What a node says of itself. */
async function says(lab: Scenario, node: string, reason: RegExp, seconds: number): Promise<void> {
  await until(`${node} says ${reason}`, seconds, async () =>
    reason.test((await lab.row(node)).reason),
  );
}

const bootId = (lab: Scenario, node: string) =>
  lab.ssh(node, 'cat /proc/sys/kernel/random/boot_id');

/** Who uses the volume, by the volume's own word. */
const holder = async (lab: Scenario, node: Server) =>
  (await lab.ssh(node, 'cut -d " " -f 1 /srv/mail/holder')).trim();

const missed = (wanted: readonly number[], found: readonly number[]) =>
  wanted.filter((number) => !found.includes(number));

async function waitsForItsVolume(lab: Scenario): Promise<void> {
  await Promise.all([
    says(
      lab,
      'mail1',
      /^mail: waits for the volume mail: it is not mounted on \/srv\/mail from 10\.77\.0\.111:\/mail/,
      patience,
    ),
    ...['nfs1', 'nfs2'].map((node) => says(lab, node, /volume mail is not made yet/, patience)),
  ]);
  tell(`mail1 says: ${(await lab.row('mail1')).reason}`);
  expect(await lab.tcp('mail1', 25)).toBe('ECONNREFUSED');
  const booted = await bootId(lab, 'mail1');

  const ordered = Date.now();
  await lab.rolecall('volume', 'create', 'mail', '--yes');
  const made = Date.now();
  tell(`the volume is made ${since(ordered, made)} after it was ordered`);
  await lab.waitStage('mail1', 'ready', { seconds: patience, retry: false });
  tell(`mail1 is ready ${since(made)} after that, without a reboot`);
  expect(await bootId(lab, 'mail1')).toBe(booted);
}

/** mail1 loses its power under a client that sends; nothing but one role file is edited. */
async function diesAndIsReplaced(lab: Scenario, { client, sender }: Mails): Promise<void> {
  await until(
    'mails were accepted',
    240,
    async () => (await sender.accepted()).filter(({ to }) => to === away).length >= 5,
  );
  const queued = await lab.ssh('mail1', 'postqueue -j | grep -c elsewhere.example');
  expect(Number(queued)).toBeGreaterThanOrEqual(4);

  const killed = Date.now();
  await lab.kill('mail1');
  await sleep(2000);
  const before = await sender.accepted();
  const said = await lab.rolecall('node', 'set-role', 'rack1', 'mail');
  expect(said).toContain('mail1, rack1 have the role mail: one at a time uses /srv/mail');
  await lab.reboot('rack1');
  await sender.sendTo(addresses.rack1);
  const next = await sender.goesOn(patience);
  tell(
    `mail1 killed with ${queued.trim()} mails in its queue; rack1, a spare, is the mail server and accepts mail ${since(killed, next.at)} after that`,
  );
  await lab.waitBoot('rack1', killed, patience);
  expect(await holder(lab, 'rack1')).toBe('rack1');

  const mine = before.filter(({ to }) => to === user).map(({ number }) => number);
  let found: readonly number[] = [];
  await until('every mail accepted before is read', 300, async () => {
    found = await readNumbers(client, addresses.rack1, `${user}:lab`);
    return missed(mine, found).length === 0;
  });
  const inQueue = numbersIn(await lab.ssh('rack1', readQueue, 180));
  const others = before.filter(({ to }) => to === away).map(({ number }) => number);
  expect(missed(others, inQueue), 'mails of the queue that are lost').toEqual([]);
  tell(
    `of mails accepted before it died: ${mine.length} read by IMAP, ${others.length} in the queue, none lost`,
  );
}

/** Subjects of all that waits in the queue. */
const readQueue =
  'for id in $(postqueue -j | sed -n \'s/.*"queue_id": "\\([^"]*\\)".*/\\1/p\'); do postcat -qh $id | grep ^Subject:; done';

/** Its role file was not touched: it boots as a mail server. */
async function returnsAndWaits(lab: Scenario, { sender }: Mails): Promise<void> {
  const capture = await lab.capture('returned', `host ${addresses.mail1} and tcp port 2049`);
  const back = Date.now();
  await lab.start('mail1');
  await says(lab, 'mail1', /^mail: stands by: rack1 uses the volume mail/, patience);
  tell(`mail1 is back after ${since(back)} and says: ${(await lab.row('mail1')).reason}`);
  // Nor does it serve where somebody tells it to.
  await lab.ssh('mail1', 'timeout 5 systemctl start postfix dovecot || true');
  expect(await lab.ssh('mail1', 'systemctl is-active postfix dovecot || true')).not.toMatch(
    /^active$/m,
  );
  expect(await lab.tcp('mail1', 25)).toBe('ECONNREFUSED');
  expect(await holder(lab, 'mail1')).toBe('rack1');
  const { messages, changes } = await changesBy(addresses.mail1, capture);
  expect(messages).toBeGreaterThan(0);
  expect(changes, 'what mail1 changed on the volume').toEqual({});
  tell(`of ${messages} NFS messages of mail1 since it is back none changed anything`);
  await sender.goesOn(90);
}

/** Who stands by and is made something else is let in no more, as it runs; nobody reboots it. */
async function losesItsRole(lab: Scenario): Promise<void> {
  expect(await isShutOut(lab, 'mail1'), 'as one of the role it is let in').toBe(false);
  const edited = Date.now();
  await lab.rolecall('node', 'set-role', 'mail1', 'spare');
  await until('mail1 is shut out', 120, () => isShutOut(lab, 'mail1'));
  tell(`mail1 made a spare: it is shut out of the volume ${since(edited)} later`);
  // What it wrote while it was let in.
  await lab.ssh('rack1', 'rm -f /srv/mail/by-mail1');
  expect(await isShutOut(lab, 'mail1')).toBe(true);
  expect(await lab.ssh('rack1', 'ls /srv/mail')).not.toContain('by-mail1');
}

/** Whether root of the node cannot write to the volume, mounted as it is or anew. */
async function isShutOut(lab: Scenario, node: Server): Promise<boolean> {
  const written = await lab.ssh(
    node,
    `mkdir -p /run/mnt && timeout 20 mount -t nfs4 -o soft,timeo=50,retrans=1 10.77.0.111:/mail /run/mnt 2>/dev/null
     for folder in /srv/mail /run/mnt; do
       ! mountpoint -q $folder || ! timeout 10 sh -c "echo x >$folder/by-$1" 2>/dev/null || echo written
     done
     rm -f /srv/mail/by-$1 2>/dev/null; ! mountpoint -q /run/mnt || umount -l /run/mnt`.replaceAll(
      '$1',
      node,
    ),
  );
  return !written.includes('written');
}

/** Operations of NFS version 4 that change something (RFC 7530, section 16). */
const changing: Readonly<Record<string, string>> = {
  6: 'CREATE',
  11: 'LINK',
  28: 'REMOVE',
  29: 'RENAME',
  34: 'SETATTR',
  38: 'WRITE',
};

/** What a client changed by NFS, as the server's answers say, since the capture began; ends it. */
async function changesBy(address: string, capture: Capture) {
  const rows = await capture.rows(['ip.src', 'nfs.opcode', 'nfs.nfsstat4'], 'nfs');
  const changes: Record<string, number> = {};
  for (const row of rows) {
    if (row['ip.src']?.[0] === address) continue;
    if (row['nfs.nfsstat4']?.some((status) => status !== '0')) continue;
    for (const code of row['nfs.opcode'] ?? []) {
      const name = changing[code];
      if (name !== undefined) changes[name] = (changes[name] ?? 0) + 1;
    }
  }
  return { messages: rows.length, changes };
}

async function everyMailIsThere(lab: Scenario, { client, sender }: Mails): Promise<void> {
  await sender.stop();
  const accepted = await sender.accepted();
  await lab.ssh(
    'nfs1',
    `ip address add 10.77.0.99/24 dev "$(ip -o address show to 10.77.0.0/24 | awk '{ print $2; exit }')"
     mkdir /run/sunk && chown nobody /run/sunk
     systemd-run --quiet --unit sink smtp-sink -u nobody -D /run/sunk/all 10.77.0.99:2525 50`,
  );
  const mine = accepted.filter(({ to }) => to === user).map(({ number }) => number);
  const others = accepted.filter(({ to }) => to === away).map(({ number }) => number);
  let sunk: readonly number[] = [];
  let read: readonly number[] = [];
  await until('every mail of the queue is delivered', 400, async () => {
    await lab.ssh('rack1', 'postqueue -f');
    await sleep(5000);
    sunk = numbersIn(await lab.ssh('nfs1', 'cat /run/sunk/all 2>/dev/null || true'));
    return missed(others, sunk).length === 0;
  });
  await until('every mail is read', 300, async () => {
    read = await readNumbers(client, addresses.rack1, `${user}:lab`);
    return missed(mine, read).length === 0;
  });
  tell(
    `accepted: ${accepted.length}; read by IMAP: ${mine.length} of ${mine.length}, twice ${twice(read)}; ` +
      `delivered from the queue: ${others.length} of ${others.length}, twice ${twice(sunk)}`,
  );
}

const twice = (numbers: readonly number[]) => numbers.length - new Set(numbers).size;
