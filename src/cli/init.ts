import { mkdir, readdir, readFile } from 'node:fs/promises';
import { homedir, networkInterfaces } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { AppError } from '../errors.ts';
import {
  type Cidr,
  cidrContains,
  formatCidr,
  type Ipv4,
  ipv4FromNumber,
  ipv4ToNumber,
  parseIpv4,
} from '../net/ipv4.ts';
import { renderProblems } from '../render-problems.ts';
import { parseSite } from '../site/parse-site.ts';
import { publicKeyFault } from '../site/read-admin-key.ts';
import { isLabel } from '../site/read-values.ts';
import { nodesReadme, renderNewSite } from '../site/render-new-site.ts';
import type { Network } from '../site/site.ts';
import { writeDurably } from '../system/durable-file.ts';
import { runProgram } from '../system/run-program.ts';
import { type RegisterCommand, say } from './command.ts';
import { renderTable } from './table.ts';

interface InitOptions {
  readonly interface?: string;
  readonly name?: string;
  readonly domain?: string;
  readonly admin?: string;
}

/** `rolecall init`: a commented site for the network behind one interface of this machine. */
export const register: RegisterCommand = (program, globals) => {
  program
    .command('init [dir]')
    .description('make a commented site for the network behind an interface of this machine')
    .option('--interface <name>', 'the interface to machines that are to netboot')
    .option('--name <name>', "the site's name; else the folder's")
    .option('--domain <domain>', "the nodes' domain; else <name>.internal")
    .option('--admin <file>', 'public key of who may log in; else one of ~/.ssh')
    .action(async (dir: string | undefined, options: InitOptions) => {
      await init(dir === undefined ? globals().site : resolve(dir), options);
    });
};

async function init(dir: string, options: InitOptions): Promise<void> {
  await refuseExisting(dir);
  const found = chooseInterface(listInterfaces(), options.interface, dir);
  const name = options.name ?? nameFrom(dir);
  const admin = await readAdminKey(options.admin);
  const gateway = await gatewayOf(found);
  const dhcp = await chooseDhcp(found);
  const text = renderNewSite({
    name,
    domain: options.domain ?? `${name}.internal`,
    admin: admin.key,
    subnet: found.subnet,
    server: found.address,
    dhcp,
    ...(gateway ? { gateway } : {}),
  });
  const result = parseSite(new Map([['site.yaml', text]]));
  if (!result.ok) throw new AppError('usage', renderProblems(result.problems));
  await mkdir(join(dir, 'nodes'), { recursive: true });
  await writeDurably(join(dir, 'nodes/README.md'), nodesReadme);
  await writeDurably(join(dir, 'site.yaml'), text);
  say(
    `wrote ${join(dir, 'site.yaml')}: site ${name} on ${found.name}, ${formatCidr(found.subnet)}`,
  );
  say(`who may log in: the key in ${admin.file}`);
  if (dhcp === 'proxy') {
    say(`${found.name} has its address by DHCP, so another server gives addresses: dhcp: proxy`);
  }
  const call = dir === process.cwd() ? 'rolecall' : `rolecall --site '${dir}'`;
  say(`next: read it, then ${call} node add --mac … --role …, and ${call} check`);
}

async function refuseExisting(dir: string): Promise<void> {
  const names = await readdir(dir).catch(() => []);
  const mine = names.filter((name) => name === 'site.yaml' || name === 'nodes');
  if (mine.length === 0) return;
  throw new AppError(
    'usage',
    `${dir} holds a site already (${mine.join(', ')})`,
    'name another folder: rolecall init DIR --interface …',
  );
}

/** An IPv4 address of this machine and the network it is in. */
interface Interface {
  readonly name: string;
  readonly address: Ipv4;
  readonly subnet: Cidr;
}

function listInterfaces(): readonly Interface[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses.flatMap(({ address, netmask: mask, internal }) => {
      const own = parseIpv4(address);
      const bits = parseIpv4(mask);
      return own && bits && !internal ? [{ name, address: own, subnet: subnetOf(own, bits) }] : [];
    }),
  );
}

function subnetOf(address: Ipv4, mask: Ipv4): Cidr {
  const bits = ipv4ToNumber(mask);
  const prefix = bits.toString(2).replaceAll('0', '').length;
  return { base: ipv4FromNumber((ipv4ToNumber(address) & bits) >>> 0), prefix };
}

function chooseInterface(
  all: readonly Interface[],
  wanted: string | undefined,
  dir: string,
): Interface {
  const found = all.find((one) => one.name === wanted);
  if (found) return found;
  const rows = all.map((one) => [one.name, one.address, formatCidr(one.subnet)]);
  const table = rows.length > 0 ? renderTable(['interface', 'address', 'network'], rows) : '';
  throw new AppError(
    'usage',
    wanted === undefined
      ? 'which interface leads to the machines that are to netboot?'
      : `${wanted} is no interface with an IPv4 address`,
    rows.length > 0
      ? `${table}\n\nrolecall init '${dir}' --interface ${rows[0]?.[0]}`
      : 'no interface has an IPv4 address: give one an address first',
  );
}

/** The folder's name as a DNS label. */
function nameFrom(dir: string): string {
  const name = basename(dir)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 40);
  return isLabel(name) ? name : 'site';
}

async function readAdminKey(file: string | undefined): Promise<{ key: string; file: string }> {
  if (file !== undefined) return { key: await readKey(file), file };
  const folder = join(homedir(), '.ssh');
  const names = (await readdir(folder).catch(() => [])).filter((n) => n.endsWith('.pub')).sort();
  const ordered = names.toSorted(
    (a, b) => Number(b.includes('ed25519')) - Number(a.includes('ed25519')),
  );
  for (const name of ordered) {
    const path = join(folder, name);
    const key = await readKey(path).catch(() => undefined);
    if (key !== undefined) return { key, file: path };
  }
  throw new AppError(
    'usage',
    `there is no public key in ${folder}, and without one nobody could log in to a node`,
    'make one: ssh-keygen -t ed25519, or name one: --admin FILE.pub',
  );
}

async function readKey(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new AppError('usage', `${file} cannot be read (${error.code})`, '--admin FILE.pub');
  });
  const key = text.trim();
  const fault = publicKeyFault(key);
  if (fault === undefined) return key;
  throw new AppError('usage', `${file} holds no SSH public key: ${fault}`, '--admin FILE.pub');
}

/** The default route's gateway where it lies on this network, from /proc/net/route (little-endian hex). */
async function gatewayOf({ name, subnet }: Interface): Promise<Ipv4 | undefined> {
  const table = await readFile('/proc/net/route', 'utf8').catch(() => '');
  for (const line of table.split('\n')) {
    const [device, destination, gateway = ''] = line.split('\t');
    if (device !== name || destination !== '00000000' || !/^[0-9A-F]{8}$/.test(gateway)) continue;
    const address = ipv4FromNumber(Buffer.from(gateway, 'hex').readUInt32LE());
    if (cidrContains(subnet, address)) return address;
  }
  return undefined;
}

/** An address that the kernel counts down was given by a DHCP server: a second one would do harm. */
async function chooseDhcp({ name, address }: Interface): Promise<Network['dhcp']> {
  try {
    const { stdout } = await runProgram('ip', ['-json', '-4', 'address', 'show', 'dev', name]);
    const links = JSON.parse(stdout) as { addr_info?: { local?: string; dynamic?: boolean }[] }[];
    const own = links.flatMap((link) => link.addr_info ?? []).find((a) => a.local === address);
    return own?.dynamic === true ? 'proxy' : 'server';
  } catch (error) {
    if (error instanceof AppError) return 'server';
    throw error;
  }
}
