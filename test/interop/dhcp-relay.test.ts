import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DhcpPacket, parseDhcpPacket } from '../../src/pxe/dhcp-packet.ts';
import { prepareDhclient, toldAt } from './dhclient.ts';
import { createDhcpSegment, type DhcpSegment, type ServerProcess } from './dhcp-segment.ts';
import type { Namespace } from './namespace.ts';
import { createRelayedSubnets, type RelayedSubnets } from './relayed-subnets.ts';
import { runUdhcpc } from './udhcpc.ts';

let segment: DhcpSegment;
let server: ServerProcess;
let behind: RelayedSubnets;

beforeAll(async () => {
  segment = await createDhcpSegment();
  server = await segment.startServer({
    leaseSeconds: 20,
    pool: { first: '10.77.0.100', last: '10.77.0.199' },
  });
  // With the name of the card as circuit id. (With -U, for RFC 3527, dhcrelay 4.4.3 crashes.)
  // It also sees what passes the router by unicast; what other agents marked is not its affair.
  behind = await createRelayedSubnets(segment, ['-a', '-m', 'discard']);
});
afterAll(async () => {
  await behind?.stop();
  await segment?.stop();
});

interface Seen extends DhcpPacket {
  readonly direction: 'in' | 'out';
  readonly remote: { readonly address: string; readonly port: number };
}

/** What the server got and sent from its line `from` on, of one machine. */
function packets(mac: string, from = 0): readonly Seen[] {
  return server.lines.slice(from).flatMap((line) => {
    if (line.kind !== 'packet') return [];
    const parsed = parseDhcpPacket(Buffer.from(String(line.hex), 'hex'));
    if (parsed.kind !== 'packet') throw new Error(`${JSON.stringify(line)}: ${parsed.reason}`);
    const chaddr = Buffer.from(parsed.packet.chaddr).toString('hex', 0, 6);
    if (chaddr !== mac.replaceAll(':', '')) return [];
    return [{ ...parsed.packet, ...(line as unknown as Pick<Seen, 'direction' | 'remote'>) }];
  });
}

const agent = (packet: DhcpPacket) => Buffer.from(packet.options.get(82) ?? []).toString('hex');

/** The sub-option circuit id with the name of a card. */
const circuit = (name: string) =>
  `01${name.length.toString(16).padStart(2, '0')}${Buffer.from(name).toString('hex')}`;

const bios = ['-V', 'PXEClient:Arch:00000:UNDI:002001', '-x', '0x5d:0000', '-O', '82'];

describe('ISC dhcrelay', () => {
  it('brings a spare an address of its own subnet', async () => {
    const mac = '52:54:00:00:02:01';
    const host = await behind.addHost(mac);
    const told = await runUdhcpc(host, segment.folder, bios);
    expect(told).toMatchObject({
      ip: '10.78.0.100',
      subnet: '255.255.255.0',
      router: '10.78.0.254',
      siaddr: '10.77.0.1',
      boot_file: 'boot/loader/undionly.kpxe',
    });
    const seen = packets(mac);
    expect(seen.map(({ direction, giaddr, remote }) => [direction, giaddr, remote.port])).toEqual(
      ['in', 'out', 'in', 'out'].map((direction) => [direction, '10.78.0.254', 67]),
    );
    // Echoed whole towards the relay, and taken off by it.
    const [asked] = seen.map(agent);
    expect(asked).toBe(circuit('rack'));
    expect(seen.map(agent)).toEqual([asked, asked, asked, asked]);
    expect(told.opt82).toBe('');
  });

  it('would be seen where it left the agent’s options on', async () => {
    const host = await segment.addHost('52:54:00:00:02:02');
    const told = await runUdhcpc(host, segment.folder, ['-x', '0x52:01047261636b', '-O', '82']);
    expect(told).toMatchObject({ ip: '10.77.0.100', opt82: '01047261636b' });
  });

  it('brings a node its address, and a node of another subnet none', async () => {
    const web2 = await behind.addHost('52:54:00:00:00:22');
    expect(await runUdhcpc(web2, segment.folder)).toMatchObject({
      ip: '10.78.0.21',
      hostname: 'web2',
    });
    const web1 = await behind.addHost('52:54:00:00:00:21');
    await expect(runUdhcpc(web1, segment.folder, ['-t', '1'])).rejects.toThrow('no lease');
    const refusal = await server.said('why', ({ kind }) => kind === 'dhcp-refused');
    expect(refusal).toMatchObject({ machine: '52:54:00:00:00:21', node: 'web1' });
    expect(refusal.reason).toMatch(/is the NIC of web1 for network boot, but it asks on .*rack2/);
  });

  it('says at which port a machine stands: one put in its place is the same node', async () => {
    for (const mac of ['52:54:00:00:07:01', '52:54:00:00:07:02']) {
      await behind.onPort7.becomeMachine(mac);
      expect(await runUdhcpc(behind.onPort7, segment.folder)).toMatchObject({
        ip: '10.78.0.31',
        hostname: 'edge1',
      });
      expect(packets(mac).map(agent)[0]).toBe(circuit('port7'));
    }
  });

  it('is not asked for a renewal, which goes through the router by unicast', async () => {
    const mac = '52:54:00:00:02:03';
    const host = await behind.addHost(mac);
    const conf = ['supersede dhcp-renewal-time 2;'];
    const run = (await prepareDhclient(host, segment.folder, { conf })).start();
    const bound = toldAt(await run.line('a lease', (line) => line.startsWith('script BOUND')));
    const renewed = toldAt(await run.line('renewal', (line) => line.startsWith('script RENEW')));
    expect(renewed).toEqual(bound);
    expect(bound.ip_address).toMatch(/^10\.78\.0\.1/);
    await server.said('the renewal', ({ direction, remote }) => {
      const { address } = (remote ?? {}) as { address?: string };
      return direction === 'out' && address === bound.ip_address;
    });
    const direct = packets(mac).filter((packet) => packet.giaddr === '0.0.0.0');
    const [asked, answered] = direct;
    expect(
      [asked, answered].map((packet) => [packet?.direction, packet?.ciaddr, packet?.remote]),
    ).toEqual(
      ['in', 'out'].map((direction) => [
        direction,
        bound.ip_address,
        { address: bound.ip_address, port: 68 },
      ]),
    );
    await run.stop('SIGTERM');
  });
});

describe.concurrent('perfdhcp', () => {
  /** An exchange of four messages for each of 20 machines, which come through a relay agent; every one completes. */
  async function exchange(host: Namespace, first: string, agentOption: string) {
    // A card that was just plugged in is not heard at once.
    await host.run('busybox', ['ping', '-c', '3', '-w', '15', '10.77.0.1']);
    const { stdout } = await host.run(
      'perfdhcp',
      [
        // With one -n only, it may end as soon as OFFERs and ACKs together are that many.
        ...['-4', '-r', '20', '-n', '20', '-n', '20', '-R', '20', '-b', `mac=${first}`, '-u'],
        // Microseconds that it waits at its end, whatever came; a machine with other work takes its time.
        ...['-d', '10', '-W', '5000000'],
        ...['-o', `82,${agentOption}`, '-l', 'eth0', '10.77.0.1'],
      ],
      { timeout: 30_000 },
    );
    const numbers = (name: string) =>
      [...stdout.matchAll(new RegExp(`^${name}: (\\d+)`, 'gm'))].map((found) => Number(found[1]));
    const [sent, received, drops] = ['sent packets', 'received packets', 'drops'].map(numbers);
    // On a busy machine it makes up for lost time and begins one or two more than it was told to.
    for (const begun of sent ?? []) expect(begun).toBeGreaterThanOrEqual(20);
    expect({ received, drops }, stdout).toEqual({ received: sent, drops: [0, 0] });
    expect(sent).toHaveLength(2);
  }

  /** What the server answered to a relay agent: option 82 and the subnet, each once. */
  function answersTo(agentAddress: string) {
    const replies = server.lines.flatMap((line) => {
      if (line.kind !== 'packet' || line.direction !== 'out') return [];
      const parsed = parseDhcpPacket(Buffer.from(String(line.hex), 'hex'));
      const isMeant = parsed.kind === 'packet' && parsed.packet.giaddr === agentAddress;
      return isMeant ? [parsed.packet] : [];
    });
    return {
      options: [...new Set(replies.map(agent))],
      subnets: [...new Set(replies.map(({ yiaddr }) => yiaddr.replace(/\d+$/, '')))],
    };
  }

  /** Circuit id `leaf1`, remote id aa:bb:cc:dd:ee:ff, and a sub-option that nobody knows. */
  const leaf1 = '01056c656166310206aabbccddeeffd003010203';

  it('on the server’s segment completes every exchange', async () => {
    const host = await segment.addHost('52:54:00:00:03:01');
    await host.ip('address add 10.77.0.50/24 dev eth0');
    await exchange(host, '00:0c:01:00:00:00', leaf1);
    expect(answersTo('10.77.0.50')).toEqual({
      options: [leaf1],
      subnets: ['10.77.0.'],
    });
  });

  it('behind the router completes every exchange, and has option 82 back whole', async () => {
    const host = await behind.addHost('52:54:00:00:03:02');
    await host.ip('address add 10.78.0.50/24 dev eth0');
    await host.ip('route add default via 10.78.0.254');
    await exchange(host, '00:0c:02:00:00:00', leaf1);
    expect(answersTo('10.78.0.50')).toEqual({
      options: [leaf1],
      subnets: ['10.78.0.'],
    });
  });

  it('on the server’s segment for a subnet elsewhere has addresses of the link that is selected', async () => {
    const host = await segment.addHost('52:54:00:00:03:03');
    await host.ip('address add 10.77.0.51/24 dev eth0');
    // RFC 3527: the subnet of the client, where the agent is reached by another address.
    const option = `${circuit('leaf2')}05040a4e0000`;
    await exchange(host, '00:0c:03:00:00:00', option);
    expect(answersTo('10.77.0.51')).toEqual({
      options: [option],
      subnets: ['10.78.0.'],
    });
  });
});
