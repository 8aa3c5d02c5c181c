import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { ClientHost } from '../../src/lab/client-host.ts';
import type { Scenario } from '../../src/lab/scenario.ts';
import { labScenario } from '../lab/harness/lab-under-test.ts';
import { until } from '../lab/harness/processes.ts';

const node = 'web1';

/** web1 with two cables to the boot network in one bond, and a card on a network without a boot server. */
async function bondedSite(site: string): Promise<void> {
  const file = join(site, 'site.yaml');
  const text = await readFile(file, 'utf8');
  await writeFile(
    file,
    text.replace(
      /^networks:\n/m,
      'networks:\n  outside: {subnet: 203.0.113.0/24, gateway: 203.0.113.1}\n',
    ),
  );
  await writeFile(
    join(site, 'nodes', `${node}.yaml`),
    `role: web
links:
  boot: {nic: [52:54:00:77:00:11, 52:54:00:77:00:21], bond: active-backup, address: 10.77.0.11}
  outside: {nic: 52:54:00:77:00:31, address: 203.0.113.11}
`,
  );
}

it('cables are cut and mended, a disk keeps what is on it, a node is paused, a bond loses no byte', async () => {
  await labScenario(
    {
      name: 'cables and disks',
      edit: bondedSite,
      only: [node],
      hardware: { [node]: { firmware: 'bios', disks: [{ serial: 'scratch', size: 32 }] } },
    },
    async (lab) => {
      const inside = await lab.host('boot', 'inside', '10.77.0.180');
      const outside = await lab.host('outside', 'outside', '203.0.113.9');
      await lab.waitStage(node, 'ready');
      await aCableIsCut(lab, outside);
      await aNodeIsPaused(lab, outside);
      await aBondLosesOneCable(lab, inside);
      await aDiskStays(lab);
    },
  );
});

async function answers(host: ClientHost, url: string): Promise<boolean> {
  const args = ['-sS', '--max-time', '4', '--output', '/dev/null', url];
  const { exitCode } = await host.run('curl', args, { accept: [7, 28] });
  return exitCode === 0;
}

async function aCableIsCut(lab: Scenario, outside: ClientHost): Promise<void> {
  const page = 'http://203.0.113.11/';
  const card = `$(grep -l 52:54:00:77:00:31 /sys/class/net/*/address | cut -d/ -f5)`;
  const carrier = async () => (await lab.ssh(node, `cat /sys/class/net/${card}/carrier`)).trim();
  expect(await answers(outside, page)).toBe(true);
  await lab.link(node, 'outside', 'down');
  await until('the node sees it', 20, async () => (await carrier()) === '0');
  expect(await answers(outside, page)).toBe(false);
  await lab.link(node, 'outside', 'up');
  await until('the node sees it again', 20, async () => (await carrier()) === '1');
  await until('the client reaches it again', 20, () => answers(outside, page));
}

async function aNodeIsPaused(lab: Scenario, outside: ClientHost): Promise<void> {
  const page = 'http://203.0.113.11/';
  await lab.pause(node);
  expect(await answers(outside, page)).toBe(false);
  await lab.resume(node);
  await until('it goes on', 20, () => answers(outside, page));
}

async function aBondLosesOneCable(lab: Scenario, inside: ClientHost): Promise<void> {
  const bonding = () => lab.ssh(node, 'cat /proc/net/bonding/bond0');
  const active = async () => /Currently Active Slave: (\S+)/.exec(await bonding())?.[1] ?? '';
  const cardOf = async (text: string) =>
    (
      await lab.ssh(
        node,
        `basename $(dirname $(grep -l ${text} /sys/class/net/*/bonding_slave/perm_hwaddr | sed s,/bonding_slave,,))`,
      )
    ).trim();
  const macs = ['52:54:00:77:00:11', '52:54:00:77:00:21'];
  const cards = await Promise.all(macs.map(cardOf));
  const first = cards.indexOf(await active());
  expect(first).toBeGreaterThanOrEqual(0);

  const bytes = 96 * 1024 * 1024;
  const served = '/usr/share/rolecall/www/big';
  await lab.ssh(
    node,
    `head -c ${bytes} /dev/urandom | tee ${served} | sha256sum | cut -d' ' -f1 >/run/big.sha256`,
  );
  const sum = async (path: string) =>
    (await inside.run('sha256sum', [path])).stdout.split(' ')[0] ?? '';
  const file = join(lab.lab.folder.root, 'big');
  let over = false;
  const started = Date.now();
  const args = [
    '-sS',
    '--max-time',
    '120',
    '--limit-rate',
    '16M',
    '--output',
    file,
    'http://10.77.0.11/big',
  ];
  const download = inside.run('curl', args).finally(() => {
    over = true;
  });
  await sleep(2_000);
  await lab.link(node, 'boot', 'down', first);
  const { size } = await stat(file);
  const cut = Date.now();
  expect(over, 'the download is under way').toBe(false);
  expect(size).toBeLessThan(bytes);
  await download;
  const times = `cut after ${cut - started} ms, done after ${Date.now() - started} ms`;
  process.stderr.write(`lab: ${bytes} bytes over a bond, a cable cut at byte ${size}: ${times}\n`);
  expect(await active()).toBe(cards[1 - first]);
  const sent = (await lab.ssh(node, 'cat /run/big.sha256')).trim();
  expect(await sum(file)).toBe(sent);
  await lab.link(node, 'boot', 'up');
}

async function aDiskStays(lab: Scenario): Promise<void> {
  const device = '/dev/disk/by-id/virtio-scratch';
  const path = await lab.disk(node, 'scratch');
  expect((await readFile(path)).every((byte) => byte === 0)).toBe(true);
  await lab.ssh(node, `printf 'still here' | dd of=${device} conv=fsync`);
  const before = Date.now();
  await lab.kill(node);
  expect((await readFile(path)).subarray(0, 10).toString()).toBe('still here');
  await writeFile(path, 'seen', { flag: 'r+' });
  await lab.start(node);
  await lab.waitBoot(node, before);
  expect(await lab.ssh(node, `head -c 10 ${device}`)).toBe('seenl here');
}
