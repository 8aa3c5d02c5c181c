import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Scenario } from '../../src/lab/scenario.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { labScenario } from '../lab/harness/lab-under-test.ts';
import { until } from '../lab/harness/processes.ts';

/** Each has two cables to the other one, without a switch between them: each is the other's LACP partner. */
const nodes = {
  web1: { boot: '52:54:00:77:00:11', pair: ['52:54:00:77:00:31', '52:54:00:77:00:41'], host: 11 },
  web2: { boot: '52:54:00:77:00:12', pair: ['52:54:00:77:00:32', '52:54:00:77:00:42'], host: 12 },
} as const;
type Name = keyof typeof nodes;
const names: readonly Name[] = ['web1', 'web2'];

async function pairedSite(site: string): Promise<void> {
  const file = join(site, 'site.yaml');
  const text = await readFile(file, 'utf8');
  await writeFile(
    file,
    text.replace(/^networks:\n/m, 'networks:\n  direct: {subnet: 198.51.100.0/24}\n'),
  );
  for (const name of names) {
    const { boot, pair, host } = nodes[name];
    const lines = [
      'role: web',
      'links:',
      `  boot: {nic: ${boot}, address: 10.77.0.${host}}`,
      `  direct: {nic: [${pair.join(', ')}], bond: 802.3ad, address: 198.51.100.${host}}`,
    ];
    await writeFile(join(site, 'nodes', `${name}.yaml`), `${lines.join('\n')}\n`);
  }
}

it('two nodes speak LACP over two cables, and a cable that is cut costs no byte', async () => {
  await labScenario(
    {
      name: 'lacp',
      edit: pairedSite,
      only: names,
      // LACP asks a card for its speed, and virtio has none to tell.
      hardware: Object.fromEntries(
        names.map((name) => [name, { firmware: 'bios', nicModel: 'e1000' }]),
      ),
    },
    async (lab) => {
      await layCables(lab);
      await Promise.all(names.map((name) => lab.waitStage(name, 'ready')));
      for (const [name, peer] of [
        ['web1', 'web2'],
        ['web2', 'web1'],
      ] as const) {
        const bond = await bondOf(lab, name);
        await until(`${name} has both cables in one group`, 60, async () =>
          /Number of ports: 2\n/.test(await stateOf(lab, name, bond)),
        );
        expect(await stateOf(lab, name, bond)).toContain(
          `Partner Mac Address: ${nodes[peer].pair[0]}\n`,
        );
      }
      await aCableIsCut(lab);
    },
  );
});

/** A bridge keeps LACP's frames to itself, but where it is told to hand them on (IEEE 802.1D, table 7-10). */
async function layCables(lab: Scenario): Promise<void> {
  const { network, plan } = lab.lab;
  const ip = (words: string) => runProgram(...network.inside('ip', words.split(' ')));
  const direct = plan.network.bridges.find((bridge) => bridge.network === 'direct')?.name;
  for (const cable of [0, 1]) {
    await ip(
      `link add name cable${cable} type bridge stp_state 0 mcast_snooping 0 forward_delay 0`,
    );
    await ip(`link set cable${cable} up`);
    for (const name of names) {
      const taps = plan.network.taps.filter((tap) => tap.guest === name && tap.bridge === direct);
      const tap = taps[cable]?.name;
      await ip(`link set ${tap} master cable${cable}`);
      await ip(`link set ${tap} type bridge_slave group_fwd_mask 4`);
    }
  }
}

async function bondOf(lab: Scenario, name: Name): Promise<string> {
  const host = nodes[name].host;
  const said = await lab.ssh(
    name,
    `ip -o -4 address show to 198.51.100.${host}/32 | awk '{print $2}'`,
  );
  return said.trim();
}

function stateOf(lab: Scenario, name: Name, bond: string): Promise<string> {
  return lab.ssh(name, `cat /proc/net/bonding/${bond}`);
}

async function aCableIsCut(lab: Scenario): Promise<void> {
  const bond = await bondOf(lab, 'web2');
  const sent = async () =>
    (
      await lab.ssh(
        'web2',
        `for mac in ${nodes.web2.pair.join(' ')}; do cat $(dirname $(grep -l $mac /sys/class/net/*/bonding_slave/perm_hwaddr))/../statistics/tx_bytes; done`,
      )
    )
      .trim()
      .split('\n')
      .map(Number);
  const bytes = 128 * 1024 * 1024;
  const before = await lab.ssh(
    'web2',
    `head -c ${bytes} /dev/urandom | tee /usr/share/rolecall/www/big | sha256sum`,
  );
  const start = await sent();
  let over = false;
  const download = lab
    .ssh(
      'web1',
      'set -o pipefail; busybox wget -q -T 30 -O - http://198.51.100.12/big | sha256sum',
      300,
    )
    .finally(() => {
      over = true;
    });
  let busy = -1;
  await until('the download is under way', 30, async () => {
    const now = await sent();
    busy = now.findIndex((count, i) => count - (start[i] ?? 0) > 4 * 1024 * 1024);
    return busy >= 0;
  });
  await lab.link('web2', 'direct', 'down', busy);
  expect(over, 'the cable is cut during the download').toBe(false);
  expect(await download).toBe(before);
  const after = await sent();
  const other = 1 - busy;
  expect((after[other] ?? 0) - (start[other] ?? 0)).toBeGreaterThan(1024 * 1024);
  await until('the group has one cable left', 30, async () =>
    /Number of ports: 1\n/.test(await stateOf(lab, 'web2', bond)),
  );
  await lab.link('web2', 'direct', 'up', busy);
  await until('and both again', 60, async () =>
    /Number of ports: 2\n/.test(await stateOf(lab, 'web2', bond)),
  );
  process.stderr.write(
    `lab: ${bytes} bytes over an LACP group, its busy cable cut: ${(after[other] ?? 0) - (start[other] ?? 0)} of them by the other one\n`,
  );
}
