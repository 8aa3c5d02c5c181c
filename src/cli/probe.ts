import { networkInterfaces } from 'node:os';
import { digestOf } from '../digest.ts';
import { AppError } from '../errors.ts';
import { cidrContains, type Ipv4, parseIpv4 } from '../net/ipv4.ts';
import { type MacAddress, parseMac } from '../net/mac.ts';
import type { Expected, ProbeRow } from '../probe/judge-offers.ts';
import { runProbe } from '../probe/run-probe.ts';
import { type ClientKind, clientKinds } from '../probe/simulated-client.ts';
import { renderProblems } from '../render-problems.ts';
import { loadFleet } from '../roles/load-fleet.ts';
import { sortProblems } from '../site/parse-site.ts';
import type { Site } from '../site/site.ts';
import { type GlobalOptions, type RegisterCommand, say } from './command.ts';
import { renderTable } from './table.ts';

interface ProbeCommandOptions {
  readonly server?: string;
  readonly from?: string;
  readonly mac?: string;
  readonly relay?: true;
  readonly seconds: string;
}

/** `rolecall probe`: plays machines that boot, against a running boot server. */
export const register: RegisterCommand = (program, globals) => {
  program
    .command('probe')
    .description('play booting machines against the running server; find other DHCP servers')
    .argument('[clients...]', `which machines: ${clientKinds.join(', ')}; all where left out`)
    .option('--server <address>', 'the boot server; else the one of the site whose network this is')
    .option('--from <address>', 'the address of this machine on the boot network')
    .option('--mac <mac>', 'play this machine; else one that is made up')
    .option('--relay', 'ask the boot server alone, as a relay at this address would')
    .option('--seconds <n>', 'how long to wait for offers', '3')
    .addHelpText('after', what)
    .action(async (clients: readonly string[], options: ProbeCommandOptions) => {
      const kinds = readKinds(clients);
      const listen = readSeconds(options.seconds) * 1000;
      const mac = readMac(options.mac);
      const expected = await readExpected(options, globals());
      const from = options.from === undefined ? ownAddressBeside(expected) : readFrom(options.from);
      const rows = await runProbe({
        ...{ from, expected, kinds, listen, asRelay: options.relay ?? false },
        mac: mac ?? madeUpMac(from),
        madeUp: mac === undefined,
      });
      say(globals().json ? JSON.stringify(rows, null, 2) : renderRows(rows));
      if (rows.some(({ result }) => result === 'wrong')) process.exitCode = 1;
    });
};

const what = `
It asks everyone on the segment as BIOS, UEFI, HTTP Boot and iPXE machines do, lists every server that makes
an offer, and walks our server's boot: address, loader over TFTP and HTTP, boot script, and the files that the
script names. It binds port 68 (root, or CAP_NET_BIND_SERVICE), on the boot server itself too; with --relay
port 67 instead, where no DHCP server runs: then it needs no segment in common and finds no other servers.
It takes one address for a moment and gives it back, unless --mac is given; it begins no boot, and changes no
running machine. Exit code 1 where something is wrong.`;

function readKinds(names: readonly string[]): readonly ClientKind[] {
  const unknown = names.find((name) => !(clientKinds as readonly string[]).includes(name));
  if (unknown !== undefined) {
    throw new AppError(
      'usage',
      `no client is called ${unknown}`,
      `there are ${clientKinds.join(', ')}`,
    );
  }
  return names.length > 0 ? (names as readonly ClientKind[]) : clientKinds;
}

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 60) return seconds;
  throw new AppError('usage', `--seconds ${text} is none of 1 to 60`, '--seconds 3');
}

function readMac(text: string | undefined): MacAddress | undefined {
  if (text === undefined) return undefined;
  const mac = parseMac(text);
  if (mac) return mac;
  throw new AppError('usage', `--mac ${text} is no MAC address`, '--mac 52:54:00:00:00:11');
}

function readAddress(option: string, text: string): Ipv4 {
  const address = parseIpv4(text);
  if (address) return address;
  throw new AppError('usage', `${option} ${text} is no IPv4 address`, `${option} 10.77.0.1`);
}

function readFrom(text: string): Ipv4 {
  return readAddress('--from', text);
}

/** Locally administered, of the same machine always the same: a second probe leaves no second trace. */
function madeUpMac(from: Ipv4): MacAddress {
  const hex = digestOf(`rolecall probe ${from}`).slice(0, 8);
  return parseMac(`02:72${hex.replace(/../g, ':$&')}`) as MacAddress;
}

/** Whom to expect: the site says whether it gives addresses; without a site, it does. */
async function readExpected(
  { server, from }: ProbeCommandOptions,
  globals: GlobalOptions,
): Promise<Expected> {
  const given = server === undefined ? undefined : readAddress('--server', server);
  const loaded = await loadFleet(globals.site).catch(() => undefined);
  if (given === undefined && !loaded?.ok) {
    const hint = 'name the site folder with --site, or the boot server with --server ADDRESS';
    const why = loaded && !loaded.ok ? renderProblems(sortProblems(loaded.problems)) : globals.site;
    throw new AppError('invalid-site', `there is no site to probe: ${why}`, hint);
  }
  const networks = loaded?.ok ? servedBy(loaded.value.site) : [];
  const own = from === undefined ? ownAddresses() : [readFrom(from)];
  const network =
    given === undefined
      ? networks.find(({ subnet }) => own.some((address) => cidrContains(subnet, address)))
      : networks.find((n) => n.server === given);
  if (network) return { server: network.server, dhcp: network.dhcp };
  if (given !== undefined) return { server: given, dhcp: 'server' };
  throw new AppError(
    'usage',
    'this machine has no address in a network of the site that boots machines',
    'run it on a machine of that network, or say --server ADDRESS --from ADDRESS',
  );
}

function servedBy(site: Site) {
  return [...site.networks.values()].flatMap(({ server, subnet, dhcp }) =>
    server === undefined || dhcp === 'off' ? [] : [{ server, subnet, dhcp }],
  );
}

function ownAddresses(): readonly Ipv4[] {
  return interfacesWithAddress().map(({ address }) => address as Ipv4);
}

function interfacesWithAddress() {
  return Object.values(networkInterfaces()).flatMap((all) =>
    (all ?? []).filter((one) => one.family === 'IPv4' && !one.internal),
  );
}

/** Our address on the segment of the boot server; else the only one that this machine has. */
function ownAddressBeside({ server }: Expected): Ipv4 {
  const all = interfacesWithAddress();
  const onSegment = all.find(({ address, netmask }) => sameSubnet(address, server, netmask));
  const only = all.length === 1 ? all[0] : undefined;
  const found = onSegment ?? only;
  if (found) return found.address as Ipv4;
  throw new AppError(
    'usage',
    `this machine has no address beside ${server}`,
    `--from takes one of ${all.map(({ address }) => address).join(', ') || 'this machine, once it has one'}`,
  );
}

function sameSubnet(a: string, b: string, mask: string): boolean {
  const [x, y, m] = [a, b, mask].map((text) => text.split('.').map(Number));
  return (m ?? []).every((byte, i) => ((x?.[i] ?? 0) & byte) === ((y?.[i] ?? 0) & byte));
}

function renderRows(rows: readonly ProbeRow[]): string {
  const table = renderTable(
    ['client', 'step', 'result', 'what'],
    rows.map(({ client, step, result, detail }) => [client, step, result, detail]),
  );
  const hints = new Set(rows.filter(({ hint }) => hint !== '').map(({ hint }) => hint));
  const wrong = rows.filter(({ result }) => result === 'wrong').length;
  const end = wrong === 0 ? 'nothing is wrong' : `${wrong} of ${rows.length} steps are wrong:`;
  return [table, '', end, ...[...hints].map((hint) => `  ${hint}`)].join('\n');
}
