import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Scenario } from '../../src/lab/scenario.ts';
import { answersTaken } from '../lab/harness/answers-taken.ts';
import { labScenario } from '../lab/harness/lab-under-test.ts';
import { type LockHolder, startLockHolder } from '../lab/harness/lock-holder.ts';
import { until } from '../lab/harness/processes.ts';
import { type RecordWriter, startWriter } from '../lab/harness/record-writer.ts';
import {
  bothAreWhole,
  bothMissIt,
  client,
  copiedTo,
  copyOf,
  leaderOf,
  otherThan,
  storageSite,
  theClientMountsIt,
  vip,
} from '../lab/harness/storage-pair.ts';

const cards: Readonly<Record<string, string>> = {
  '52:54:00:77:00:31': 'nfs1',
  '52:54:00:77:00:32': 'nfs2',
};
const say = (text: string) => process.stderr.write(`lab: ${text}\n`);

it('a volume through every fault of its pair: no acknowledged record lost, never two leaders', async () => {
  await labScenario(
    {
      ...{ name: 'storage faults', site: storageSite, uefi: [], only: ['nfs1', 'nfs2', client] },
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
        ...{ export: `${vip}:/www`, at: '/srv/www', servers: ['nfs1', 'nfs2'] },
      });
      // Ordered so that whoever is down from one fault is the means of the next: a boot takes longest.
      await theLeaderHandsOver(lab, locks);
      await theReplicationIsCut(lab);
      await theWitnessIsAway(lab);
      await theLeaderIsCutOff(lab, ['boot']);
      await theLeaderStalls(lab);
      await theLeaderIsCutOff(lab, ['storage', 'boot']);
      await locks.isHeld();
      await bothFallAndTheNewerIsBackFirst(lab, locks);
      await bothFallAndTheOlderIsBackFirst(lab);
      await locks.isHeld();
      await locks.letGo();
      await aDiskIsReplaced(lab);
    },
  );
}, 3_000_000);

/**
 * Writes records through the fault and until it is over; those acknowledged are there, and by what came over
 * the wire clients took answers of the nodes in `served` one after the other, of none again after the next one.
 */
async function whileRecordsAreWritten(
  lab: Scenario,
  name: string,
  served: readonly string[],
  fault: (writer: RecordWriter) => Promise<void>,
): Promise<void> {
  const file = name.replaceAll(/\W+/g, '-');
  const capture = await lab.capture(file, `host ${vip} and tcp port 2049`);
  const writer = await startWriter(lab, client, `/srv/www/${file}`);
  await sleep(2000);
  await fault(writer);
  await writer.goesOn();
  const { acknowledged, gap } = await writer.stop();
  const taken = await answersTaken(capture, 2049);
  say(`${name}: ${acknowledged} records acknowledged and found, longest time without one ${gap} s`);
  expect(taken.map((card) => cards[card] ?? card)).toEqual(served);
}

async function onlyWhatWasShownIsOverwritten(lab: Scenario): Promise<void> {
  await bothMissIt(lab);
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
  await theClientMountsIt(lab);
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
  const asked = Date.now();
  const clock = await lab.ssh(node, 'date +%s.%N');
  // The guest's clock may be set apart from ours.
  const apart = Number(clock) * 1000 - (asked + Date.now()) / 2;
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

async function sayWhatWasCopied(lab: Scenario, node: string): Promise<void> {
  const kibibytes = await copiedTo(lab, node);
  say(`${node} is back: ${kibibytes} KiB of 262144 copied`);
  expect(kibibytes).toBeLessThan(128 * 1024);
}

/** Each leads once, so that who leads a second time since its boot keeps locks too. */
async function theLeaderHandsOver(lab: Scenario, locks: LockHolder): Promise<void> {
  for (let turn = 0; turn < 2; turn += 1) {
    const leader = await leaderOf(lab);
    const next = otherThan(leader);
    let since = 0;
    await whileRecordsAreWritten(lab, `handed over to ${next}`, [leader, next], async () => {
      since = Date.now();
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
  await whileRecordsAreWritten(lab, 'replication cut', [leader], async (writer) => {
    await lab.link(leader, 'storage', 'down');
    await countsAsOlder(lab, other);
    await until(`${other} knows it`, 60, async () => {
      return (await copyOf(lab, other)).report?.disk === 'Outdated';
    });
    await writer.goesOn();
    await sleep(10_000);
    expect((await copyOf(lab, other)).report?.role).toBe('Secondary');
    await lab.link(leader, 'storage', 'up');
    await bothAreWhole(lab);
  });
  expect(await leaderOf(lab)).toBe(leader);
}

async function countsAsOlder(lab: Scenario, node: string): Promise<void> {
  await until(`the copy of ${node} counts as older`, 60, async () => {
    return (await copyOf(lab, node)).outdated;
  });
}

async function theWitnessIsAway(lab: Scenario): Promise<void> {
  const leader = await leaderOf(lab);
  await whileRecordsAreWritten(lab, 'witness away', [leader], async (writer) => {
    await lab.lab.server().stop();
    await sleep(15_000);
    await writer.goesOn();
    await lab.lab.restartServer('SIGTERM');
    await sleep(8000);
  });
  expect(await leaderOf(lab)).toBe(leader);
}

/** Who is cut off ends or waits, and follows when it is back. */
async function theLeaderIsCutOff(lab: Scenario, networks: readonly string[]): Promise<void> {
  const leader = await leaderOf(lab);
  const other = otherThan(leader);
  const name = `leader cut off from ${networks.join(' and ')}`;
  await whileRecordsAreWritten(lab, name, [leader, other], async (writer) => {
    const cables = (state: 'up' | 'down') =>
      Promise.all(networks.map((network) => lab.link(leader, network, state)));
    const since = Date.now();
    await cables('down');
    await writer.goesOn();
    say(`${other}: ${await wayOf(lab, other, since)}`);
    await cables('up');
    await bothAreWhole(lab);
  });
  expect(await leaderOf(lab)).toBe(other);
}

async function theLeaderStalls(lab: Scenario): Promise<void> {
  const leader = await leaderOf(lab);
  const other = otherThan(leader);
  await whileRecordsAreWritten(lab, 'leader stalled', [leader, other], async (writer) => {
    await lab.pause(leader);
    await writer.goesOn();
    await lab.resume(leader);
    await sleep(5000);
    await bothAreWhole(lab);
  });
  expect(await leaderOf(lab)).toBe(other);
}

async function bothFallAndTheNewerIsBackFirst(lab: Scenario, locks: LockHolder): Promise<void> {
  const older = await leaderOf(lab);
  const newer = otherThan(older);
  let since = 0;
  await whileRecordsAreWritten(lab, 'leader killed', [older, newer], async () => {
    since = Date.now();
    await lab.kill(older);
  });
  say(`${newer} after the kill: ${await wayOf(lab, newer, since)}`);
  await locks.isHeld();
  await lab.ssh(client, 'head -c 8000000 /dev/urandom >/srv/www/missed; sync /srv/www/missed', 120);
  const name = 'both fell, the newer is back first';
  await whileRecordsAreWritten(lab, name, [newer], async (writer) => {
    await lab.kill(newer);
    await lab.start(newer);
    await writer.goesOn();
    await lab.start(older);
    await bothAreWhole(lab);
    await sayWhatWasCopied(lab, older);
  });
  expect(await leaderOf(lab), 'who returns takes nothing away').toBe(newer);
}

async function bothFallAndTheOlderIsBackFirst(lab: Scenario): Promise<void> {
  const older = await leaderOf(lab);
  const newer = otherThan(older);
  const without = 'leader killed without a witness';
  await whileRecordsAreWritten(lab, without, [older, newer], async () => {
    await lab.lab.server().stop();
    await sleep(8000);
    await lab.kill(older);
    await sleep(15_000);
    expect(await lab.ssh(newer, 'cat /proc/drbd'), 'nobody is promoted').toMatch(/ro:Secondary/);
    await lab.lab.restartServer('SIGTERM');
  });
  // Alone, and known to be the only one: it needs no witness.
  await whileRecordsAreWritten(lab, 'alone without a witness', [newer], async (writer) => {
    await lab.lab.server().stop();
    await sleep(12_000);
    await writer.goesOn();
    await lab.lab.restartServer('SIGTERM');
    await sleep(8000);
  });
  const name = 'both fell, the older is back first';
  await whileRecordsAreWritten(lab, name, [newer], async () => {
    await countsAsOlder(lab, older);
    await lab.kill(newer);
    await lab.start(older);
    await until(`${older} is back`, 300, async () => {
      return (await copyOf(lab, older)).report?.connection === 'WFConnection';
    });
    await sleep(30_000);
    const { report } = await copyOf(lab, older);
    expect(report).toMatchObject({ disk: 'Outdated', role: 'Secondary', serving: false });
    await lab.start(newer);
    await bothAreWhole(lab);
    await sayWhatWasCopied(lab, older);
  });
  expect(await leaderOf(lab)).toBe(newer);
}

async function aDiskIsReplaced(lab: Scenario): Promise<void> {
  const leader = await leaderOf(lab);
  const other = otherThan(leader);
  const sum = await lab.ssh(client, 'sha256sum </srv/www/missed');
  await lab.kill(other);
  const disk = await lab.disk(other, 'www');
  await writeFile(disk, '');
  await writeFile(disk, new Uint8Array(256 * 1024 * 1024));
  await lab.start(other);
  await until(`${other} says that its disk is blank`, 300, async () => {
    const { report } = await copyOf(lab, other);
    return report?.disk === '' && report.survey?.state === 'blank';
  });
  const said = await lab.rolecall('volume', 'create', 'www', '--yes');
  expect(said).toContain(`The copy of ${leader} stays, and goes over to the new disk.`);
  await bothAreWhole(lab);
  await lab.ssh(leader, 'systemctl restart rolecall-volume@www');
  await until('the new disk leads', 120, async () => (await leaderOf(lab)) === other);
  expect(await lab.ssh(other, 'sha256sum </srv/volumes/www/missed')).toBe(sum);
}
