import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, type TestContext } from 'vitest';
import { type Dhclient, prepareDhclient, toldAt } from './dhclient.ts';
import { createDhcpSegment, type DhcpSegment } from './dhcp-segment.ts';
import type { FollowedProgram } from './followed-program.ts';
import { runUdhcpc } from './udhcpc.ts';

const web1 = '52:54:00:00:00:21';
const stranger = '52:54:00:00:00:99';

async function segment({ onTestFinished }: TestContext): Promise<DhcpSegment> {
  const made = await createDhcpSegment();
  onTestFinished(() => made.stop());
  return made;
}

/** What dhclient is told at its next step of this name. */
async function told(client: FollowedProgram, reason: string, from = 0) {
  const line = await client.line(reason, (said) => said.startsWith(`script ${reason} `), from);
  return toldAt(line);
}

/** Which requests it sent, in order, each once: `DHCPREQUEST to 255.255.255.255`. */
function sent(client: FollowedProgram, from = 0): readonly string[] {
  const all = client.lines.slice(from).flatMap((line) => {
    const found = /^(DHCP(?:DISCOVER|REQUEST|DECLINE)) .*to (\S+) port 67/.exec(line);
    return found ? [`${found[1]} to ${found[2]}`] : [];
  });
  return all.filter((what, at) => what !== all[at - 1]);
}

/** One run of dhclient until it has its lease; it keeps the lease. */
async function lease(client: Dhclient, reason: 'BOUND' | 'REBOOT' = 'BOUND') {
  const run = client.start();
  const said = await told(run, reason);
  await run.line('it is done', (line) => line.startsWith('bound to '));
  await run.stop('SIGTERM');
  return { told: said, sent: sent(run) };
}

const machines = [
  ['a node', web1, '10.77.0.21'],
  ['a spare', stranger, '10.77.0.200'],
] as const;

const everyone = '255.255.255.255';

// Each test has a segment of its own, and waits for most of its time.
describe.concurrent('ISC dhclient', () => {
  it('is given a lease, and all that an operating system needs', async (test) => {
    const on = await segment(test);
    await on.startServer();
    const client = await prepareDhclient(await on.addHost(web1), on.folder);
    expect(await lease(client)).toEqual({
      told: {
        ip_address: '10.77.0.21',
        subnet_mask: '255.255.255.0',
        routers: '10.77.0.254',
        domain_name_servers: '192.0.2.53',
        host_name: 'web1',
        domain_name: 'tokyo.example',
        broadcast_address: '10.77.0.255',
        ntp_servers: '10.77.0.1',
        next_server: '0.0.0.0',
        dhcp_lease_time: '43200',
        dhcp_renewal_time: '21600',
        dhcp_rebinding_time: '37800',
        dhcp_server_identifier: '10.77.0.1',
      },
      sent: [`DHCPDISCOVER to ${everyone}`, `DHCPREQUEST to ${everyone}`],
    });
  });

  it.for(machines)(
    'on %s renews by unicast and rebinds by broadcast',
    async ([, mac, address], test) => {
      const on = await segment(test);
      await on.startServer({ leaseSeconds: 60 });
      const host = await on.addHost(mac);
      // The server would have it renew after 30 s and rebind after 52.
      const conf = ['supersede dhcp-renewal-time 2;', 'supersede dhcp-rebinding-time 3;'];
      const run = (await prepareDhclient(host, on.folder, { conf })).start();
      expect(await told(run, 'BOUND')).toMatchObject({
        ip_address: address,
        dhcp_lease_time: '60',
      });
      const done = await run.line('it is done', (line) => line.startsWith('bound to '));

      const renewing = run.lines.indexOf(done) + 1;
      expect(await told(run, 'RENEW', renewing)).toMatchObject({ ip_address: address });
      expect(sent(run, renewing)).toEqual(['DHCPREQUEST to 10.77.0.1']);

      // Nothing reaches the server by its address any more, as where its route is gone.
      const rebinding = run.lines.length;
      const wall =
        'table ip wall { chain in { type filter hook input priority 0; ip daddr 10.77.0.1 udp dport 67 drop; }; }';
      await on.server.run('nft', [wall]);
      const isBroadcast = (line: string) =>
        line.startsWith('DHCPREQUEST') && line.includes(everyone);
      const broadcast = await run.line('it rebinds', isBroadcast, rebinding);
      // Its script hears RENEW for both.
      const rebound = run.lines.indexOf(broadcast, rebinding);
      expect(await told(run, 'RENEW', rebound)).toMatchObject({ ip_address: address });
      expect(sent(run, rebinding).slice(0, 2)).toEqual([
        'DHCPREQUEST to 10.77.0.1',
        `DHCPREQUEST to ${everyone}`,
      ]);
      await on.server.run('nft', ['delete table ip wall']);
    },
  );

  it.for(machines)(
    'on %s comes back after a server that was gone',
    async ([, mac, address], test) => {
      const on = await segment(test);
      const server = await on.startServer({ leaseSeconds: 4 });
      const host = await on.addHost(mac);
      const run = (await prepareDhclient(host, on.folder)).start();
      await run.line('a lease', (line) => line.startsWith('bound to '));
      await server.stop('SIGKILL');
      const lost = run.lines.length;
      await run.line('the lease runs out', (line) => line === 'script EXPIRE', lost);
      const expired = run.lines.length;
      await run.line('it asks anew', (line) => line.startsWith('DHCPDISCOVER'), expired);
      expect((await host.ip('address show dev eth0')).stdout).not.toContain(address);
      await on.startServer();
      expect(await told(run, 'BOUND', lost)).toMatchObject({ ip_address: address });
    },
  );

  it.for(machines)(
    'on %s asks for its address again after a reset',
    async ([, mac, address], test) => {
      const on = await segment(test);
      const before = await on.startServer();
      const client = await prepareDhclient(await on.addHost(mac), on.folder);
      expect((await lease(client)).told.ip_address).toBe(address);
      // The server was reset too: what it knows is on its disk.
      await before.stop('SIGKILL');
      await on.startServer();
      expect(await lease(client, 'REBOOT')).toMatchObject({
        told: { ip_address: address },
        sent: [`DHCPREQUEST to ${everyone}`],
      });
    },
  );

  it('that was a spare and became a node is refused its old address and told its new one', async (test) => {
    const on = await segment(test);
    const server = await on.startServer();
    const host = await on.addHost(stranger);
    const client = await prepareDhclient(host, on.folder);
    expect((await lease(client)).told.ip_address).toBe('10.77.0.200');
    await host.becomeMachine(web1);
    expect(await lease(client)).toMatchObject({
      told: { ip_address: '10.77.0.21' },
      sent: [
        `DHCPREQUEST to ${everyone}`,
        `DHCPDISCOVER to ${everyone}`,
        `DHCPREQUEST to ${everyone}`,
      ],
    });
    await server.said(
      'the address is refused',
      (line) =>
        line.kind === 'dhcp-refused' && line.reason === '10.77.0.200 is not its address here',
    );
  });

  it('that asks for an address of which nobody knows is not answered, and asks anew', async (test) => {
    const on = await segment(test);
    const server = await on.startServer();
    const client = await prepareDhclient(await on.addHost(stranger), on.folder);
    await lease(client);
    await server.stop();
    // Another boot server, which never saw it.
    const other = await on.startServer({ state: 'other' });
    expect((await lease(client)).sent).toEqual([
      `DHCPREQUEST to ${everyone}`,
      `DHCPDISCOVER to ${everyone}`,
      `DHCPREQUEST to ${everyone}`,
    ]);
    await other.said('why it is silent', ({ line }) =>
      String(line).includes('asks for 10.77.0.200 again, of which there is no record'),
    );
  });

  it('gives its lease back, and gets the same address again', async (test) => {
    const on = await segment(test);
    const server = await on.startServer();
    const client = await prepareDhclient(await on.addHost(stranger), on.folder);
    await lease(client);
    await client.release();
    await server.said('the release', ({ line }) => String(line).includes('gave 10.77.0.200 back'));
    expect((await lease(client)).told.ip_address).toBe('10.77.0.200');
  });

  it('declines an address of the pool that answers to ARP, and gets another', async (test) => {
    const on = await segment(test);
    const server = await on.startServer();
    const intruder = await on.addHost('52:54:00:00:00:66');
    const gate = join(on.folder, 'gate');
    const client = await prepareDhclient(await on.addHost(stranger), on.folder, { gate });
    const run = client.start();
    // The intruder comes after the offer, so that only the client can find it.
    await run.line('an address', (line) => line.startsWith('script BOUND ip_address=10.77.0.200'));
    await intruder.ip('address add 10.77.0.200/24 dev eth0');
    await writeFile(gate, '');
    await run.line('it declines', (line) => line.startsWith('DHCPDECLINE of 10.77.0.200'));
    await run.line('it asks anew', (line) => line.startsWith('bound to 10.77.0.201'));
    await server.said(
      'what an operator must know',
      (line) =>
        line.kind === 'dhcp-problem' &&
        line.problem === 'address-conflict' &&
        String(line.reason).includes('10.77.0.200'),
    );
  });

  it('declines its node’s address while another host has it, and has it when that one is gone', async (test) => {
    const on = await segment(test);
    const server = await on.startServer();
    const intruder = await on.addHost('52:54:00:00:00:66');
    await intruder.ip('address add 10.77.0.21/24 dev eth0');
    const client = await prepareDhclient(await on.addHost(web1), on.folder);
    const run = client.start();
    await run.line('it declines', (line) => line.startsWith('DHCPDECLINE of 10.77.0.21'));
    await server.said(
      'what an operator must know',
      (line) =>
        line.kind === 'dhcp-problem' && line.problem === 'address-conflict' && line.node === 'web1',
    );
    await intruder.ip('address flush dev eth0');
    await run.line('it has it', (line) => line.startsWith('bound to 10.77.0.21'));
  });
});

describe.concurrent('one machine under three names', () => {
  it.for(machines)('is given one address on %s', async ([, mac, address], test) => {
    const on = await segment(test);
    await on.startServer();
    const host = await on.addHost(mac);
    const rom = ['-V', 'PXEClient:Arch:00000:UNDI:002001', '-x', '0x5d:0000'];
    const firmware = await runUdhcpc(host, on.folder, [
      ...rom,
      ...['-C', '-x', '0x61:00443322116655887799aabbccddeeff00'],
    ]);
    const loader = await runUdhcpc(host, on.folder, [
      ...rom,
      ...['-x', '77:726f6c6563616c6c', '-x', '0x3d:01525400000098'],
    ]);
    const system = await prepareDhclient(host, on.folder, {
      conf: [
        'send dhcp-client-identifier ff:00:00:00:01:00:02:00:00:ab:11:5d:e0:96:71:4a:35:0f:2c;',
        'send vendor-class-identifier "anaconda-Linux 6.12 x86_64";',
      ],
    });
    const { told } = await lease(system);
    expect([firmware.ip, loader.ip, told.ip_address]).toEqual([address, address, address]);
    expect([firmware.boot_file, loader.boot_file?.slice(0, 21)]).toEqual([
      'boot/loader/undionly.kpxe',
      'http://10.77.0.1/boot',
    ]);
  });
});
