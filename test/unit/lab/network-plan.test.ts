import { expect, it } from 'vitest';
import { planNetwork, renderIpBatch } from '../../../src/lab/network-plan.ts';
import { planGuests } from '../../../src/lab/vm-spec.ts';
import { node, siteOf } from './a-site.ts';

const site = siteOf(
  node('lb1', { outside: '52:54:00:77:00:22', boot: '52:54:00:77:00:21' }),
  node('web1', { boot: '52:54:00:77:00:11' }),
);
const plan = planNetwork(site, planGuests(site, { spares: 1, memory: 512 }));

it('a bridge per network; the boot server has its address on its own', () => {
  expect(plan.bridges).toEqual([
    { name: 'br0', network: 'boot', prefix: 24, address: '10.77.0.1/24' },
    { name: 'br1', network: 'outside', prefix: 24 },
  ]);
});

it('a tap per card, plugged into the bridge of its network', () => {
  expect(plan.taps).toEqual([
    { name: 'tap0', bridge: 'br0', guest: 'lb1', nic: 0 },
    { name: 'tap1', bridge: 'br1', guest: 'lb1', nic: 1 },
    { name: 'tap2', bridge: 'br0', guest: 'web1', nic: 0 },
    { name: 'tap3', bridge: 'br0', guest: 'spare-525400770099', nic: 0 },
    { name: 'tap4', bridge: 'br1', guest: 'spare-525400770099', nic: 1 },
  ]);
});

it('ip commands that make all of it', () => {
  expect(renderIpBatch(plan)).toBe(`link set lo up
link add name br0 address 02:72:63:00:00:00 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
address add 10.77.0.1/24 dev br0
link set br0 up
link add name up0 type veth peer name port0
link set port0 master br0 up
link set port0 type bridge_slave flood off mcast_flood off bcast_flood off
link set up0 up
link add name br1 address 02:72:63:00:00:01 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
link set br1 up
link add name up1 type veth peer name port1
link set port1 master br1 up
link set port1 type bridge_slave flood off mcast_flood off bcast_flood off
link set up1 up
tuntap add dev tap0 mode tap
link set tap0 master br0 up
tuntap add dev tap1 mode tap
link set tap1 master br1 up
tuntap add dev tap2 mode tap
link set tap2 master br0 up
tuntap add dev tap3 mode tap
link set tap3 master br0 up
tuntap add dev tap4 mode tap
link set tap4 master br1 up
`);
});
