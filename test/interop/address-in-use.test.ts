import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDhcpSegment, type DhcpSegment, type ServerProcess } from './dhcp-segment.ts';
import type { Namespace } from './namespace.ts';
import { runUdhcpc } from './udhcpc.ts';

const squatterMac = '52:54:00:00:04:01';
let segment: DhcpSegment;
let server: ServerProcess;
let squatter: Namespace;

beforeAll(async () => {
  segment = await createDhcpSegment();
  squatter = await segment.addHost(squatterMac);
  await squatter.ip('address add 10.77.0.200/24 dev eth0');
  server = await segment.startServer();
});
afterAll(() => segment?.stop());

const conflicts = () =>
  server.lines.flatMap((line) =>
    line.kind === 'dhcp-problem' && line.problem === 'address-conflict' ? [line.reason] : [],
  );

it('an address of the pool that somebody uses is offered to nobody, and said once', async () => {
  const host = await segment.addHost('52:54:00:00:04:11');
  // What the machine itself still has from before is no conflict.
  await host.ip('address add 10.77.0.201/24 dev eth0');
  const told = await runUdhcpc(host, segment.folder);
  expect(told.ip).toBe('10.77.0.201');
  expect(conflicts()).toEqual([expect.stringContaining(`${squatterMac} already uses 10.77.0.200`)]);

  const other = await segment.addHost('52:54:00:00:04:12');
  expect((await runUdhcpc(other, segment.folder)).ip).toBe('10.77.0.202');
  expect(conflicts()).toHaveLength(1);
});

it('no firewall hides it', async () => {
  await squatter.ip('address add 10.77.0.203/24 dev eth0');
  const input = '{ type filter hook input priority 0; policy drop; }';
  await squatter.run('nft', [`add table ip wall; add chain ip wall input ${input}`]);
  const host = await segment.addHost('52:54:00:00:04:13');
  await expect(runUdhcpc(host, segment.folder)).rejects.toThrow();
  expect(conflicts()[1]).toContain(`${squatterMac} already uses 10.77.0.203`);
});
