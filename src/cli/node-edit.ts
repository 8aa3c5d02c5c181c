import { existsSync } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { spareMac } from '../boot/identify-machine.ts';
import { AppError, type Problem } from '../errors.ts';
import { type Ipv4, parseIpv4 } from '../net/ipv4.ts';
import { type MacAddress, parseMac } from '../net/mac.ts';
import { renderProblems } from '../render-problems.ts';
import { standbys } from '../roles/check-data.ts';
import type { Fleet } from '../roles/fleet.ts';
import { loadFleet } from '../roles/load-fleet.ts';
import { spareRole } from '../roles/used-roles.ts';
import { describeEdit } from '../site/describe-edit.ts';
import { suggestion } from '../site/did-you-mean.ts';
import { renderNewRoleFile, rolesOf, setRole } from '../site/edit-role-file.ts';
import { type EditedTexts, loadSite } from '../site/load-site.ts';
import { sortProblems } from '../site/parse-site.ts';
import { proposeAddress, proposeName } from '../site/propose-node.ts';
import { isLabel } from '../site/read-values.ts';
import { isBootNetwork, type Network, type Site } from '../site/site.ts';
import { writeDurably } from '../system/durable-file.ts';
import { type GlobalOptions, say } from './command.ts';
import { imageWarnings } from './image-warnings.ts';

/** Adds `set-role` and `add` to the `node` noun: both edit role files of the site folder. */
export function registerNodeEdit(node: Command, globals: () => GlobalOptions): void {
  node
    .command('set-role <node> <role...>')
    .description('give a node another role, or several; it takes effect when the node boots')
    .option(
      '--instead-of <node>',
      'a node, such as one that is dead, that gives these roles up in the same edit; spare if none is left',
    )
    .option('--dry-run', 'show what would be written')
    .action(async (name: string, roles: string[], options: SetRoleOptions) => {
      await setNodeRole(globals(), name, roles, options);
    });
  node
    .command('add [name]')
    .description('write the role file of a machine; name and address are proposed if not given')
    .option('--mac <mac>', "the machine's MAC address")
    .option('--uuid <uuid>', 'or its system UUID; another card in it is no edit then')
    .option('--serial <serial>', 'or its serial number')
    .option(
      '--port <port>',
      'or its switch port, as node show spells it; another machine there is no edit then',
    )
    .requiredOption('--role <role...>', 'what the machine is to be')
    .option('--address <address>', 'its address; else the next free one outside the pool')
    .option('--network <network>', 'the network it boots from; needed where there are several')
    .option('--tag <tag...>', 'tags for selectors')
    .option('--dry-run', 'show what would be written')
    .action(async (name: string | undefined, options: AddOptions) => {
      await addNode(globals(), name, options);
    });
}

interface SetRoleOptions {
  readonly insteadOf?: string;
  readonly dryRun?: boolean;
}

interface AddOptions {
  readonly mac?: string;
  readonly uuid?: string;
  readonly serial?: string;
  readonly port?: string;
  readonly role: readonly string[];
  readonly address?: string;
  readonly network?: string;
  readonly tag?: readonly string[];
  readonly dryRun?: boolean;
}

async function setNodeRole(
  { site: dir, state }: GlobalOptions,
  name: string,
  roles: readonly string[],
  { insteadOf, dryRun }: SetRoleOptions,
) {
  checkRoleNames(roles);
  if (insteadOf === name) {
    throw new AppError('usage', `${name} cannot be instead of itself`, 'name the other node');
  }
  const own = await editRoles(dir, name, roles, () => roles);
  const others = insteadOf === undefined ? [] : [await editRoles(dir, insteadOf, roles, without)];
  const edits = [...others, own].filter(({ was, is }) => was !== is);
  const after = await validFleet(dir, new Map(edits.map(({ file, text }) => [file, text])));
  if (edits.length === 0) {
    say(`${name} has role ${own.is} already`);
    return;
  }
  sayWhatFollows(
    own.before,
    after,
    edits.map(({ file }) => file),
  );
  for (const { name: edited, file, text, was, is } of edits) {
    if (dryRun) {
      say(`would write ${file}: role ${was} → ${is}\n\n${text.trimEnd()}`);
      continue;
    }
    // A role file may be a link into a repository: the link stays.
    await writeDurably(await realpath(join(dir, file)), text);
    say(`wrote ${file}: role ${was} → ${is}`);
    const missing = await sayWhatIsMissing(after, state, edited);
    const then = missing ? 'do not reboot it before that is done' : `reboot it to make it ${is}`;
    say(`${edited} keeps running as ${was} until it reboots; ${then}`);
  }
}

/** A node's role file with the roles that `choose` makes of those that it had. */
async function editRoles(
  dir: string,
  name: string,
  roles: readonly string[],
  choose: (had: readonly string[], roles: readonly string[]) => readonly string[],
) {
  const { file, text, before } = await roleFileOf(dir, name, roles);
  const had = rolesOf(text);
  const now = choose(had, roles);
  return {
    ...{ name, file, before, text: setRole(text, now) },
    ...{ was: had.join(', '), is: now.join(', ') },
  };
}

/** What is left of a node's roles; refuses to take away what it has not. */
function without(had: readonly string[], roles: readonly string[]): readonly string[] {
  const left = had.filter((role) => !roles.includes(role));
  if (left.length === had.length) {
    throw new AppError(
      'usage',
      `the node of --instead-of has not the role ${roles.join(', ')}: it is ${had.join(', ')}`,
      'rolecall node ls',
    );
  }
  return left.length > 0 ? left : [spareRole];
}

/**
 * The role file of a node, and the site as far as it can be read: the edit may be the cure of what is wrong with it,
 * and only what comes of it must be good.
 */
async function roleFileOf(dir: string, name: string, roles: readonly string[]) {
  const loaded = await loadSite(dir);
  const before = loaded.ok ? loaded.value : undefined;
  if (before && !before.nodes.has(name)) throw noNode(before, name, roles);
  const file = `nodes/${name}.yaml`;
  const text = isLabel(name) ? await readFile(join(dir, file), 'utf8').catch(absent) : undefined;
  if (text === undefined) throw invalidSite(loaded.ok ? [] : loaded.problems);
  return { file, text, before };
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}

/** A machine that waits as a spare has no role file yet, or has one that it boots by from the next time on. */
function noNode(site: Site, name: string, roles: readonly string[]): AppError {
  const mac = spareMac(name);
  if (!mac) {
    const hint = suggestion(name, [...site.nodes.keys()], 'nodes are');
    return new AppError('usage', `there is no node ${name}`, hint);
  }
  const node = [...site.nodes.values()].find(({ id }) => id.macs.includes(mac));
  return node
    ? new AppError(
        'usage',
        `${name} is ${node.name} by its role file`,
        `rolecall node set-role ${node.name} ${roles.join(' ')}`,
      )
    : new AppError(
        'usage',
        `${name} has no role file yet`,
        `rolecall node add --mac ${mac} --role ${roles.join(' ')}`,
      );
}

async function addNode(
  { site: dir, state }: GlobalOptions,
  given: string | undefined,
  options: AddOptions,
) {
  checkRoleNames(options.role);
  const loaded = await loadSite(dir);
  const before = loaded.ok ? loaded.value : undefined;
  const { uuid, serial, port } = options;
  const mac = options.mac === undefined ? undefined : readMacOption(options.mac);
  if ([mac, uuid, serial, port].every((mark) => mark === undefined)) {
    throw new AppError(
      'usage',
      'nothing says which machine this is',
      '--mac, --uuid, --serial or --port; rolecall node show says what a spare has',
    );
  }
  const name = given ?? (before && proposeName(before, options.role[0] ?? 'node'));
  const address =
    readAddressOption(options.address) ?? (before && freeAddress(before, options.network));
  // Nothing can be proposed for a site that cannot be read.
  if (name === undefined || address === undefined) {
    const hint = 'where this node is the cure, say its name and --address';
    throw invalidSite(loaded.ok ? [] : loaded.problems, hint);
  }
  const file = `nodes/${name}.yaml`;
  if (isLabel(name) && existsSync(join(dir, file))) {
    throw new AppError(
      'usage',
      `there is a node ${name} already`,
      `rolecall node set-role ${name} ${options.role.join(' ')} changes its role`,
    );
  }
  const text = renderNewRoleFile({
    id: {
      ...(mac === undefined ? {} : { mac }),
      ...(uuid === undefined ? {} : { uuid }),
      ...(serial === undefined ? {} : { serial }),
      ...(port === undefined ? {} : { port }),
    },
    address,
    roles: options.role,
    tags: options.tag ?? [],
  });
  const after = await validFleet(dir, new Map([[file, text]]));
  const body = text.trimEnd().replaceAll(/^(?=.)/gm, '  ');
  sayWhatFollows(before, after, [file]);
  say(`${options.dryRun ? 'would write' : 'writing'} ${file}:\n\n${body}\n`);
  if (options.dryRun) return;
  await writeDurably(join(dir, file), text);
  say(`${name} is ${options.role.join(', ')} at ${address} from its next boot`);
  await sayWhatIsMissing(after, state, name);
  say('a spare that waits and is this machine reboots by itself; else switch the machine on');
}

/** What an edited role file changes for others, and who of its role waits for whom. */
function sayWhatFollows(before: Site | undefined, after: Fleet, edited: readonly string[]): void {
  if (before) for (const line of describeEdit(before, after.site)) say(line);
  for (const { file, message } of standbys(after)) if (edited.includes(file)) say(message);
}

/** Says what keeps the node from a boot set of the published image; false where nothing does. */
async function sayWhatIsMissing(fleet: Fleet, state: string, name: string): Promise<boolean> {
  const node = fleet.site.nodes.get(name);
  const missing = await imageWarnings(fleet, state, node ? [node] : []);
  if (missing.length > 0) say(renderProblems(missing));
  return missing.length > 0;
}

/** The site with its roles checked, or its problems as one failure (`invalid-site`). */
async function validFleet(dir: string, edited: EditedTexts = new Map()): Promise<Fleet> {
  const result = await loadFleet(dir, { edited });
  if (result.ok) return result.value;
  throw invalidSite(result.problems);
}

function invalidSite(problems: readonly Problem[], hint = ''): AppError {
  return new AppError(
    'invalid-site',
    `nothing is written:\n\n${renderProblems(sortProblems(problems))}`,
    hint,
  );
}

/** Refuses what would be something else than a name in YAML (`usage`). */
function checkRoleNames(roles: readonly string[]): void {
  for (const role of roles) {
    if (isLabel(role)) continue;
    const shown = role === '' ? 'an empty word' : role;
    throw new AppError(
      'usage',
      `${shown} cannot be the name of a role`,
      'rolecall role ls lists the roles; several stand one after the other: web mail',
    );
  }
}

function readMacOption(text: string): MacAddress {
  const mac = parseMac(text);
  if (mac) return mac;
  throw new AppError('usage', `${text} is no MAC address`, 'such as --mac 52:54:00:00:00:11');
}

function readAddressOption(text: string | undefined): Ipv4 | undefined {
  if (text === undefined) return undefined;
  const address = parseIpv4(text);
  if (address) return address;
  throw new AppError('usage', `${text} is no IPv4 address`, 'such as --address 10.77.0.11');
}

function freeAddress(site: Site, wanted: string | undefined): Ipv4 {
  const network = chooseNetwork(site, wanted);
  const address = proposeAddress(site, network);
  if (address) return address;
  throw new AppError('usage', `no address is free on network ${network.name}`, '--address …');
}

function chooseNetwork(site: Site, wanted: string | undefined): Network {
  const boot = [...site.networks.values()].filter(isBootNetwork);
  const names = boot.map((network) => network.name);
  if (wanted !== undefined) {
    const network = boot.find((n) => n.name === wanted);
    if (network) return network;
    throw new AppError(
      'usage',
      `${wanted} is no network with a boot server`,
      suggestion(wanted, names, 'there are'),
    );
  }
  const [only, ...others] = boot;
  if (only && others.length === 0) return only;
  throw new AppError(
    'usage',
    'the site has several boot networks',
    `--network ${names.join(' or ')}`,
  );
}
