import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { VolumeStatus } from '../../src/http/volume-status.ts';
import type { Scenario } from '../../src/lab/scenario.ts';
import { labScenario } from '../lab/harness/lab-under-test.ts';
import { type LockHolder, startLockHolder } from '../lab/harness/lock-holder.ts';
import { until } from '../lab/harness/processes.ts';
import { startWriter } from '../lab/harness/record-writer.ts';

const site = resolve(import.meta.dirname, '../lab/sites/storage');
const client = 'web1';
const vip = '10.77.0.110';
const cards: Readonly<Record<string, string>> = {
  '52:54:00:77:00:31': 'nfs1',
  '52:54:00:77:00:32': 'nfs2',
};
const say = (text: string) => process.stderr.write(`lab: ${text}\n`);
const otherThan = (node: string) => (node === 'nfs1' ? 'nfs2' : 'nfs1');

it('a volume through faults of its pair: no acknowledged record lost, never two leaders', async () => {
  await labScenario(
    {
      ...{ name: 'storage faults', site, uefi: [], only: ['nfs1', 'nfs2', client] },
      // A second client, that no guest plays.
      edit: (folder) =>
        writeFile(
          join(folder, 'nodes/web2.yaml'),
          'mac: 52:54:00:77:00:22\naddress: 10.77.0.22\nrole: web\n',
        ),
    },
    async (lab) => {
      await onlyWhatWasShownIsOverwritten(lab);
      const locks = await startLockHolder(lab, {
        ...{ node: client, address: '10.77.0.21', rivalAddress: '10.77.0.22' },
        ...{ export: `${vip}:/www`, at: '/srv/www' },
      });
      await theLeaderIsKilled(lab, locks);
      await theLeaderHandsOver(lab, locks);
      await theReplicationIsCut(lab);
      await theLeaderIsCutOff(lab, ['storage', 'boot']);
      await locks.isHeld();
      await locks.letGo();
    },
  );
}, 3_000_000);

async function volume(lab: Scenario): Promise<VolumeStatus> {
  const [status] = JSON.parse(await lab.rolecall('volume', 'status', '--json'));
  return status;
}

async function copyOf(lab: Scenario, node: string) {
  const found = (await volume(lab)).nodes.find(({ name }) => name === node);
  if (!found) throw new Error(`no ${node}`);
  return found;
}

async function leaderOf(lab: Scenario): Promise<string> {
  let leader: string | undefined;
  await until('one serves it', 180, async () => {
    leader = (await volume(lab)).nodes.find(({ report }) => report?.serving)?.name;
    return leader !== undefined;
  });
  return leader ?? '';
}

async function bothAreWhole(lab: Scenario): Promise<void> {
  await until('both copies are up to date', 600, async () =>
    (await volume(lab)).nodes.every(
      ({ report, outdated }) =>
        report?.disk === 'UpToDate' && report.connection === 'Connected' && !outdated,
    ),
  );
}

/**
 * Writes records through the fault and until it is over; those acknowledged are there, and by what came over
 * the wire the nodes in `served` answered one after the other, none again after the next one.
 */
async function whileRecordsAreWritten(
  lab: Scenario,
  name: string,
  served: readonly string[],
  fault: (waitForRecords: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const file = name.replaceAll(/\W+/g, '-');
  const capture = await lab.capture(file, `src host ${vip} and tcp src port 2049`);
  const writer = await startWriter(lab, client, `/srv/www/${file}`);
  await sleep(2000);
  await fault(() => writer.goesOn());
  await writer.goesOn();
  const { acknowledged, gap } = await writer.stop();
  const rows = await capture.rows(['eth.src'], 'tcp.len > 0 && !tcp.analysis.retransmission');
  const answered = rows.map((row) => cards[row['eth.src']?.[0] ?? ''] ?? '?');
  say(`${name}: ${acknowledged} records acknowledged and found, longest time without one ${gap} s`);
  expect(answered.filter((node, i) => node !== answered[i - 1])).toEqual(served);
}

async function onlyWhatWasShownIsOverwritten(lab: Scenario): Promise<void> {
  for (const node of ['nfs1', 'nfs2']) {
    await until(`${node} says what is missing`, 420, async () =>
      (await lab.row(node)).reason.includes('volume www is not made yet'),
    );
  }
  const create = (...flags: string[]) => lab.rolecall('volume', 'create', 'www', '--yes', ...flags);
  const signatures = () => lab.ssh('nfs2', 'wipefs --noheadings --output TYPE /dev/vda');
  await lab.ssh('nfs2', 'mkswap /dev/vda');
  await until('nfs2 has seen what is on its disk', 120, async () => {
    const { report } = await copyOf(lab, 'nfs2');
    return report?.survey?.state === 'signed';
  });
  await expect(create()).rejects.toThrow('nfs2: its disk is not blank: swap');
  expect(await signatures()).toContain('swap');
  const said = await create('--force');
  expect(said).toMatch(/nfs1 .* blank/);
  expect(said).toMatch(/nfs2 .* HOLDS swap/);
  expect(await signatures()).not.toContain('swap');
  await bothAreWhole(lab);
  await expect(create('--force')).rejects.toThrow('holds it');
  await until('the client mounts it', 240, async () =>
    (await lab.ssh(client, 'grep " /srv/www nfs4 " /proc/mounts || true')).startsWith(vip),
  );
}

/** What a new leader's kernel and programs said of its way there, in seconds from `since`. */
async function wayOf(lab: Scenario, node: string, since: number): Promise<string> {
  const steps = [
    ['peer missed', 'PingAck did not arrive|sock was shut down|meta connection shut down'],
    ['leads', 'returned 4'],
    ['primary', 'Secondary -> Primary'],
    ['mounted', 'EXT4-fs .* mounted'],
    ['NFS runs', 'NFSD: starting'],
    ['serves', 'serves its clients'],
    ['all reclaimed', 'had reclaimed'],
  ] as const;
  const log = await lab.ssh(node, 'journalctl -b -o short-unix --no-pager | tail -n 400');
  const [clock] = (await lab.ssh(node, 'date +%s.%N')).split('\n');
  // The guest's clock may be set apart from ours.
  const apart = Number(clock) * 1000 - Date.now();
  return steps
    .flatMap(([step, pattern]) => {
      const line = log
        .split('\n')
        .find(
          (text) =>
            new RegExp(pattern).test(text) && Number(text.split(' ')[0]) * 1000 > since + apart,
        );
      const at = Number(line?.split(' ')[0]) * 1000 - apart - since;
      return line ? [`${step} ${(at / 1000).toFixed(1)}`] : [];
    })
    .join(', ');
}

async function theLeaderIsKilled(lab: Scenario, locks: LockHolder): Promise<void> {
  const leader = await leaderOf(lab);
  const next = otherThan(leader);
  let since = 0;
  await whileRecordsAreWritten(lab, 'leader killed', [leader, next], async () => {
    since = Date.now();
    await lab.kill(leader);
  });
  say(`${next} after the kill: ${await wayOf(lab, next, since)}`);
  await locks.isHeld();
  await lab.ssh(client, 'head -c 8000000 /dev/urandom >/srv/www/missed; sync /srv/www/missed');
  await lab.start(leader);
  await bothAreWhole(lab);
  await sayWhatWasCopied(lab, leader);
  expect(await leaderOf(lab), 'who returns takes nothing away').toBe(next);
}

async function sayWhatWasCopied(lab: Scenario, node: string): Promise<void> {
  const said = await lab.ssh(node, "dmesg | grep -o 'will sync [0-9]* KB' | tail -n 1");
  const kibibytes = Number(/\d+/.exec(said)?.[0]);
  say(`${node} is back: ${kibibytes} KiB of 262144 copied`);
  expect(kibibytes).toBeLessThan(128 * 1024);
}

/** Each leads once, so that who leads a second time since its boot keeps locks too. */
async function theLeaderHandsOver(lab: Scenario, locks: LockHolder): Promise<void> {
  for (let turn = 0; turn < 2; turn += 1) {
    const leader = await leaderOf(lab);
    const next = otherThan(leader);
    const name = `handed over to ${next}`;
    const since = Date.now();
    await whileRecordsAreWritten(lab, name, [leader, next], async () => {
      await lab.ssh(leader, 'systemctl restart rolecall-volume@www');
    });
    say(`${next}: ${await wayOf(lab, next, since)}`);
    await locks.isHeld();
    await bothAreWhole(lab);
  }
}

async function theReplicationIsCut(lab: Scenario): Promise<void> {
  const leader = await leaderOf(lab);
  const other = otherThan(leader);
  await whileRecordsAreWritten(lab, 'replication cut', [leader], async (waitForRecords) => {
    await lab.link(leader, 'storage', 'down');
    await until('the other copy counts as older', 60, async () => {
      const { outdated, report } = await copyOf(lab, other);
      return outdated && report?.disk === 'Outdated';
    });
    await waitForRecords();
    await sleep(10_000);
    expect((await copyOf(lab, other)).report?.role).toBe('Secondary');
    await lab.link(leader, 'storage', 'up');
    await bothAreWhole(lab);
  });
  expect(await leaderOf(lab)).toBe(leader);
}

/** Who is cut off ends or waits, and follows when it is back. */
async function theLeaderIsCutOff(lab: Scenario, networks: readonly string[]): Promise<void> {
  const leader = await leaderOf(lab);
  const other = otherThan(leader);
  const name = `leader cut off from ${networks.join(' and ')}`;
  await whileRecordsAreWritten(lab, name, [leader, other], async (waitForRecords) => {
    const cables = (state: 'up' | 'down') =>
      Promise.all(networks.map((network) => lab.link(leader, network, state)));
    await cables('down');
    await waitForRecords();
    await cables('up');
    await bothAreWhole(lab);
  });
  expect(await leaderOf(lab)).toBe(other);
}
