import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { register as capture } from '../../../src/cli/capture.ts';
import { register as explain } from '../../../src/cli/explain.ts';
import { fetchLastBoot, renderLastBoot } from '../../../src/cli/last-boot.ts';
import { createAdminApp } from '../../../src/http/admin-app.ts';
import type { LastBoot } from '../../../src/http/admin-service.ts';
import { type HttpServer, startHttp } from '../../../src/http/start-http.ts';
import type { MacAddress } from '../../../src/net/mac.ts';
import { diagnoseBoot } from '../../../src/pxe/diagnose-boot.ts';
import { packPcap } from '../../../src/pxe/pcap.ts';
import type { MachinePacket, WirePacket } from '../../../src/pxe/wire-packet.ts';
import { dhcpIn, dhcpOut, httpOut, tftpEnd } from '../dhcp/wire-packets.ts';
import { sampleNode, sampleService } from '../http/sample-nodes.ts';
import { makeFolder } from '../state/temporary-folder.ts';
import { runCommands } from './run-rolecall.ts';

const folder = makeFolder();
const site = join(folder, 'site');
const state = join(folder, 'state');
const db1Mac = '52:54:00:00:db:01';
const start = Date.UTC(2026, 0, 31, 3);
const heard: { packets: readonly WirePacket[]; later: readonly WirePacket[] } = {
  packets: [],
  later: [],
};
const asked: string[] = [];
let server: HttpServer;

const loader = 'boot/loader/ipxe.efi';
const loaded = [
  dhcpIn('discover', { at: start, arch: 'uefi' }),
  dhcpOut('offer', { at: start + 4, file: loader }),
  tftpEnd(
    { file: loader, outcome: 'delivered', size: 1_000_000, bytes: 1_000_000 },
    { at: start + 900 },
  ),
];

function lastBoot(machine: MacAddress): LastBoot {
  asked.push(machine);
  const { packets } = heard;
  if (heard.later.length > 0) heard.packets = heard.later;
  const at = start + 120_000;
  return { machine, at, packets, dropped: 0, diagnosis: diagnoseBoot(packets, at) };
}

beforeAll(async () => {
  cpSync(join(import.meta.dirname, '../../lab/sites/webs'), site, { recursive: true });
  cpSync(join(import.meta.dirname, '../../../images'), join(state), { recursive: true });
  for (const [name, id, host] of [
    ['db1', 'serial: LAB-DB1', 31],
    ['db2', 'port: sw1/7', 32],
  ]) {
    const text = `id: {${id}}\naddress: 10.77.0.${host}\nrole: web\n`;
    writeFileSync(join(site, `nodes/${name}.yaml`), text);
  }
  const sample = sampleService().service;
  const nodes = () => [
    sampleNode('db1', 31, 'loader', { mac: [db1Mac] }),
    sampleNode('web2', 22, 'silent'),
  ];
  const service = {
    ...sample,
    nodes,
    lastBoot,
    capture: (machine: MacAddress, since: number) =>
      packPcap(
        heard.packets
          .filter(({ at }) => at >= since)
          .map((packet): MachinePacket => ({ ...packet, machine })),
      ),
  };
  server = await startHttp(createAdminApp(service), { socketPath: join(state, 'admin.sock') });
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});
afterEach(() => {
  heard.packets = [];
  heard.later = [];
  asked.length = 0;
});

const run = (...args: readonly string[]) => runCommands([explain, capture], site, args, state);

describe('rolecall explain', () => {
  it('shows the last boot packet by packet and what to do', async () => {
    heard.packets = loaded;
    const { out } = await run('explain', 'web1');
    expect(out).toContain(`  loader     ${loader} (its last boot asked as UEFI x86-64)\n`);
    expect(out.slice(out.indexOf('  last boot'))).toBe(
      `  last boot  2026-01-31T03:00:00.000Z, by ${asked[0]}:
    03:00:00.000    +0.000 s  DHCP → DISCOVER PXEClient:Arch:00007
    03:00:00.004    +0.004 s  DHCP ← OFFER PXEClient 10.77.0.21 boot file ${loader}
    03:00:00.900    +0.900 s  TFTP ← ${loader} sent: 1000000 bytes in 682 blocks of 1468
  verdict    stuck: the loader was sent, and nothing came from the machine after it (120.000 s after the first packet)
             Secure Boot, which refuses a loader without a signature (secureBoot: true in site.yaml, or turn it off in the setup); or loader: firmware in the role file, where the loader's own driver does not know the card; or a switch port that runs spanning tree blocks for 30 s after its link comes up, and the loader starts the link anew: set it to port fast (edge), and LACP on it to fallback or off
`,
    );
  });

  it('knows by the server’s word which machine a node without a MAC is', async () => {
    heard.packets = loaded;
    const known = await run('explain', 'db1');
    expect(known.out).toContain(`db1 (${db1Mac}): its serial number is in nodes/db1.yaml\n`);
    expect(known.out).toContain('  address    10.77.0.31/24\n');
    expect(asked).toEqual([db1Mac]);
    const byMac = await run('explain', db1Mac);
    expect(byMac.out).toBe(known.out);
    const captured = await run('capture', 'db1', '--output', join(folder, 'db1.pcap'));
    expect(captured.code).toBe(0);
  });

  it('says what a node would boot that no machine was yet', async () => {
    const { out } = await run('explain', 'db2');
    expect(out).toContain('db2: its switch port is in nodes/db2.yaml\n');
    expect(out).toMatch(/last boot {2}unknown: no MAC of it is known/);
    const { err, code } = await run('capture', 'db2');
    expect([err, code]).toEqual([expect.stringContaining('no machine has asked as db2 yet'), 1]);
  });

  it('says of a step that may still come what it means if it does not', async () => {
    heard.packets = loaded;
    const boot = await fetchLastBoot({ state }, ['52:54:00:77:00:11' as MacAddress]);
    if (boot.kind !== 'boot') throw new Error(boot.reason);
    const waiting = { ...boot, boot: { ...boot.boot, state: 'waiting' } } as const;
    expect(renderLastBoot(waiting)).toMatch(/\n {13}if it stays so: Secure Boot/);
    const failed = { ...boot, boot: { ...boot.boot, state: 'failed' } } as const;
    expect(renderLastBoot(failed)).not.toContain('after the first packet');
  });

  it('says of a silent machine what that may be', async () => {
    const { out } = await run('explain', 'web2');
    expect(out).toMatch(/\n {2}now {8}silent since .*\n {13}no report of it arrives: its power/);
    expect((await run('explain', 'db1')).out).not.toContain('no report of it arrives');
  });

  it('says it as JSON too', async () => {
    heard.packets = loaded;
    const { out } = await run('--json', 'explain', 'web1');
    expect(JSON.parse(out)).toMatchObject([
      { name: 'web1', lastBoot: { kind: 'boot', boot: { state: 'stuck', packets: [{}, {}, {}] } } },
    ]);
  });

  it('says what to look for where nothing came', async () => {
    const { out } = await run('explain', 'web1');
    expect(out).toMatch(/ {2}loader {5}boot\/loader\/undionly\.kpxe or boot\/loader\/ipxe\.efi/);
    expect(out).toMatch(
      /last boot {2}none seen:\n {2}verdict {4}stuck: no DISCOVER of it was seen\n/,
    );
  });

  it('says in one line that no server runs', async () => {
    const { out } = await runCommands([explain], site, ['explain', 'web1'], join(folder, 'none'));
    expect(out).toMatch(
      /\n {2}last boot {2}unknown: no boot server runs with the state folder .*\n$/,
    );
  });
});

describe('rolecall capture', () => {
  const file = join(folder, 'web1.pcap');
  const magic = 0xa1b2c3d4;

  it('writes the last boot', async () => {
    heard.packets = loaded;
    const { out, code } = await run('capture', 'web1', '--output', file);
    expect([out, code]).toEqual([
      `${file}: ${readFileSync(file).length} bytes; open it with: wireshark ${file}\n`,
      0,
    ]);
    expect(readFileSync(file).readUInt32LE(0)).toBe(magic);
  });

  it('waits for the next boot until the machine is ready', async () => {
    heard.packets = loaded;
    heard.later = [
      dhcpIn('discover', { at: start + 120_000 }),
      httpOut('/report/1', 200, { at: start + 150_000, report: 'ready' }),
    ];
    const args = ['capture', 'web1', '--seconds', '60', '--output', file];
    const { out, code } = await run('--json', ...args);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject([{ file, machine: asked[0] }]);
  });

  it.each([
    [['capture', 'web1'], /no boot of \S+ was seen.*switch it on/s, 1],
    [['capture', 'web1', '--seconds', '1'], /nothing came from \S+ in 1 s/, 1],
    [['capture', 'web1', '--seconds', 'soon'], /no number of seconds/, 2],
    [['capture', 'web11'], /neither a node nor a MAC.*web1/s, 2],
  ] as const)('%s is refused', async (args, words, exitCode) => {
    const { err, code } = await run(...args);
    expect(err).toMatch(words);
    expect(code).toBe(exitCode);
  });
});
