import type { DhcpSegment } from './dhcp-segment.ts';
import type { FollowedProgram } from './followed-program.ts';
import { createNamespace, createSwitch, type Namespace, plugInto } from './namespace.ts';

/**
 * A router with ISC dhcrelay between the segment of the boot server and two places of 10.78.0.0/24:
 *
 *     10.77.0.1 server ── switch ── uplink router rack (10.78.0.254) ── switch ── hosts
 *                                               port7 (10.78.0.253) ── one host
 */
export interface RelayedSubnets {
  readonly router: Namespace;
  readonly relay: FollowedProgram;
  /** Another host on the switch behind the router. */
  addHost(mac: string): Promise<Namespace>;
  /** The host on the cable to `port7`. */
  readonly onPort7: Namespace;
  stop(): Promise<void>;
}

/** Puts the router onto the segment and starts dhcrelay, with these options besides its places. */
export async function createRelayedSubnets(
  segment: DhcpSegment,
  options: readonly string[],
): Promise<RelayedSubnets> {
  const router = await segment.addHost('52:54:00:00:77:fe');
  const hosts: Namespace[] = [];
  await router.ip('link set eth0 down');
  await router.ip('link set eth0 name uplink');
  await router.ip('link set uplink up');
  await router.ip('address add 10.77.0.254/24 dev uplink');
  await createSwitch(router, 'rack');
  await router.ip('address add 10.78.0.254/24 dev rack');
  await router.run('sh', ['-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward']);
  await segment.server.ip('route add 10.78.0.0/24 via 10.77.0.254');

  const onPort7 = await createNamespace('port7');
  hosts.push(onPort7);
  await router.ip(`link add port7 type veth peer name eth0 netns ${onPort7.name}`);
  await router.ip('address add 10.78.0.253/32 dev port7');
  await router.ip('link set port7 up');
  await onPort7.ip('link set eth0 up');

  const places = ['-iu', 'uplink', '-id', 'rack', '-id', 'port7', '10.77.0.1'];
  const relay = router.start('dhcrelay', ['-4', '-d', '--no-pid', ...options, ...places]);
  await relay.line('it listens', (line) => line.startsWith('Sending on   Socket/fallback'));
  return {
    router,
    relay,
    onPort7,
    async addHost(mac) {
      const host = await createNamespace('behind');
      hosts.push(host);
      await plugInto(host, router, 'rack', `port${hosts.length + 100}`);
      await host.becomeMachine(mac);
      return host;
    },
    async stop() {
      for (const host of hosts.toReversed()) await host.remove();
    },
  };
}
