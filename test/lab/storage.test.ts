import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Scenario } from '../../src/lab/scenario.ts';
import { loadFleet } from '../../src/roles/load-fleet.ts';
import { renderContents } from '../../src/roles/render-contents.ts';
import { labScenario } from './harness/lab-under-test.ts';
import { startLockHolder } from './harness/lock-holder.ts';
import { until } from './harness/processes.ts';
import { startWriter } from './harness/record-writer.ts';
import {
  bothAreWhole,
  bothMissIt,
  client,
  copiedTo,
  leaderOf,
  otherThan,
  storageSite,
  theClientMountsIt,
  vip,
  volumeOf,
} from './harness/storage-pair.ts';

it('a pair holds a volume: made on an order, no acknowledged write and no lock lost with the leader, only what changed comes after', async () => {
  await labScenario({ name: 'storage pair', site: storageSite }, async (lab) => {
    await nothingIsMadeByItself(lab);
    await theVolumeIsMade(lab);
    await clientsComeAndGo(lab);
    const locks = await startLockHolder(lab, {
      ...{ node: client, address: '10.77.0.21', rivalAddress: '10.77.0.28' },
      ...{ export: `${vip}:/www`, at: '/srv/www', servers: ['nfs1', 'nfs2'] },
    });
    const killed = await theLeaderIsKilled(lab);
    await locks.isHeld();
    await whoReturnsCatchesUp(lab, killed);
    await whoReturnedTakesOver(lab);
    await locks.isHeld();
    await locks.letGo();
  });
}, 1_200_000);

async function nothingIsMadeByItself(lab: Scenario): Promise<void> {
  await bothMissIt(lab);
  await until('its client says for what it waits', 240, async () =>
    (await lab.row(client)).reason.startsWith('web: waits for the volume www: it is not mounted'),
  );
  // No terminal to ask at.
  await expect(lab.rolecall('volume', 'create', 'www')).rejects.toThrow('nothing was changed');
  for (const node of ['nfs1', 'nfs2']) {
    expect((await readFile(await lab.disk(node, 'www'))).every((byte) => byte === 0)).toBe(true);
  }
}

async function theVolumeIsMade(lab: Scenario): Promise<void> {
  const said = await lab.rolecall('volume', 'create', 'www', '--yes');
  expect(said).toMatch(/nfs1 +\/dev\/disk\/by-id\/virtio-www +0\.3 GB +www +blank/);
  expect(said).toContain('volume www is made');
  await until('one serves, both are up to date', 120, async () => {
    const { nodes } = await volumeOf(lab);
    return nodes.every(({ report }) => report?.disk === 'UpToDate');
  });
  // What holds the volume is no disk to overwrite, whatever is said.
  await expect(lab.rolecall('volume', 'create', 'www', '--force', '--yes')).rejects.toThrow(
    'holds it',
  );
  await theClientMountsIt(lab);
  await lab.ssh(client, 'echo seen >/srv/www/first && sync /srv/www/first');
  const leader = await leaderOf(lab);
  expect(await lab.ssh(leader, 'cat /srv/volumes/www/first')).toBe('seen');
  expect(await lab.rolecall('volume', 'status')).toMatch(
    new RegExp(`www +${leader} +serves +UpToDate +Connected`),
  );

  // It is the content of the web server, which waited for it.
  await lab.ssh(client, "echo '<h1>pages of the volume</h1>' >/srv/www/index.html");
  expect(await lab.http(client, '/')).toEqual({
    status: 200,
    body: '<h1>pages of the volume</h1>\n',
  });
  await lab.waitStage(client, 'ready', { retry: false });
  await whatListensIsDeclared(lab);
}

/** The kernel's NFS server runs where the volume is led, and only there. */
async function whatListensIsDeclared(lab: Scenario): Promise<void> {
  const fleet = await loadFleet(lab.site);
  if (!fleet.ok) throw new Error(JSON.stringify(fleet));
  const leader = await leaderOf(lab);
  for (const node of ['nfs1', 'nfs2']) {
    const siteNode = fleet.value.site.nodes.get(node);
    if (!siteNode) throw new Error(`no ${node}`);
    const { listens } = renderContents(fleet.value, siteNode);
    const declared = [...listens.values()].flat();
    const said = await lab.ssh(
      node,
      'ss -Hltun | awk \'$5 !~ /^(127[.]|\\[::1\\])/ { sub(".*:", "", $5); print $1 "/" $5 }\'',
    );
    const open = said.trim().split('\n');
    expect(open.filter((port) => !declared.includes(port))).toEqual([]);
    const ofNfs = ['tcp/2049', 'tcp/32803', 'udp/32803'];
    const led = ofNfs.filter((port) => open.includes(port));
    expect(led, node).toEqual(node === leader ? ofNfs : []);
  }
}

/** A node that the site gets or loses is let in or out by the leader as it runs; one of two stays. */
async function clientsComeAndGo(lab: Scenario): Promise<void> {
  const bootIds = () =>
    Promise.all(
      ['nfs1', 'nfs2'].map((node) => lab.ssh(node, 'cat /proc/sys/kernel/random/boot_id')),
    );
  const booted = await bootIds();
  const isExported = async (address: string) =>
    (await lab.ssh(await leaderOf(lab), 'exportfs -s')).includes(`/srv/volumes/www  ${address}(`);
  const fileOf = (number: number) => join(lab.site, `nodes/web${number}.yaml`);
  expect(await isExported('10.77.0.29')).toBe(false);
  const since = Date.now();
  for (const n of [8, 9]) {
    await writeFile(fileOf(n), `mac: 52:54:00:77:00:2${n}\naddress: 10.77.0.2${n}\nrole: web\n`);
  }
  await until('the new clients are let in', 120, async () => {
    return (await isExported('10.77.0.28')) && (await isExported('10.77.0.29'));
  });
  process.stderr.write(`lab: a new client is let in after ${(Date.now() - since) / 1000} s\n`);
  await rm(fileOf(9));
  await until('one is let out', 120, async () => !(await isExported('10.77.0.29')));
  expect(await isExported('10.77.0.21')).toBe(true);
  expect(await bootIds(), 'no node of the pair rebooted').toEqual(booted);
}

async function theLeaderIsKilled(lab: Scenario): Promise<string> {
  const { killed, figures } = await killWhileItIsWritten(lab, '/srv/www/records');
  process.stderr.write(`lab: leader killed: ${figures}\n`);
  return killed;
}

/** Kills the leader under a client that writes; every acknowledged record is found, and the other leads. */
async function killWhileItIsWritten(lab: Scenario, file: string) {
  const writer = await startWriter(lab, client, file);
  await sleep(3000);
  const killed = await leaderOf(lab);
  await lab.kill(killed);
  await writer.goesOn();
  const { acknowledged, gap } = await writer.stop();
  expect(await leaderOf(lab)).toBe(otherThan(killed));
  return { killed, figures: `${acknowledged} records, ${gap} s without one` };
}

const missed = 8;

async function whoReturnsCatchesUp(lab: Scenario, killed: string): Promise<void> {
  await lab.ssh(client, `dd if=/dev/urandom of=/srv/www/new bs=1M count=${missed} conv=fsync`, 120);
  const since = Date.now();
  await lab.start(killed);
  await bothAreWhole(lab);
  const kibibytes = await copiedTo(lab, killed);
  const seconds = (Date.now() - since) / 1000;
  process.stderr.write(
    `lab: resynchronised ${kibibytes} KiB of 262144, ${seconds} s after power-on\n`,
  );
  expect(kibibytes).toBeGreaterThanOrEqual(missed * 1024);
  // Besides the file there are records and the journal, and what the activity log calls hot: extents of 4 MiB.
  expect(kibibytes).toBeLessThan(128 * 1024);
}

async function whoReturnedTakesOver(lab: Scenario): Promise<void> {
  const sum = await lab.ssh(client, 'sha256sum </srv/www/new');
  const { killed, figures } = await killWhileItIsWritten(lab, '/srv/www/more');
  process.stderr.write(`lab: the other killed: ${figures}\n`);
  // From the survivor's disk, not from what the client remembers.
  expect(await lab.ssh(otherThan(killed), 'sha256sum </srv/volumes/www/new')).toBe(sum);
}
