import { spareMac } from '../boot/identify-machine.ts';
import { AppError } from '../errors.ts';
import { nodeStatusSchema } from '../http/api-schemas.ts';
import { type MacAddress, parseMac } from '../net/mac.ts';
import { suggestion } from '../site/did-you-mean.ts';
import { bootLink, type Site, type SiteNode } from '../site/site.ts';
import { fetchAdmin } from './admin-client.ts';
import type { GlobalOptions } from './command.ts';

/** A machine that was named to a command. */
export interface NamedMachine {
  /** The node that it is, by its name, by a role file, or by the server's word; absent where it is none. */
  readonly node?: SiteNode;
  /** The MACs by which it may boot, the likeliest first; none where a node has no MAC and no machine was it yet. */
  readonly macs: readonly MacAddress[];
}

/**
 * Which machine is meant: a node of the site, a spare by its name, or the one whose MAC was typed. Where a role file
 * names a machine by something else than its MAC, the server knows which MAC that was. Refuses with an AppError what
 * is none of these.
 */
export async function namedMachine(
  site: Site,
  who: string,
  globals: Pick<GlobalOptions, 'state'>,
  server?: string,
): Promise<NamedMachine> {
  const nodes = [...site.nodes.values()];
  const mac = parseMac(who) ?? spareMac(who);
  if (mac) {
    const node =
      nodes.find((n) => n.id.macs.includes(mac)) ??
      site.nodes.get((await seenMacs(globals, server)).find((row) => row.mac === mac)?.name ?? '');
    return { ...(node ? { node } : {}), macs: [mac] };
  }
  const node = site.nodes.get(who);
  if (!node) {
    const hint = suggestion(who, [...site.nodes.keys()], 'nodes');
    throw new AppError('usage', `${who} is neither a node nor a MAC address`, hint);
  }
  const written = [...new Set([...node.id.macs, ...(bootLink(site, node)?.macs ?? [])])];
  if (written.length > 0) return { node, macs: written };
  const seen = (await seenMacs(globals, server)).filter((row) => row.name === node.name);
  return { node, macs: seen.map((row) => row.mac) };
}

interface SeenMac {
  readonly name: string;
  readonly mac: MacAddress;
}

/** By which MACs nodes were seen, by the server's word; none where no server answers. */
async function seenMacs(
  globals: Pick<GlobalOptions, 'state'>,
  server: string | undefined,
): Promise<readonly SeenMac[]> {
  try {
    const rows = nodeStatusSchema.array().parse(await fetchAdmin(globals, '/api/v1/nodes', server));
    return rows.flatMap(({ name, mac }) => mac.map((m) => ({ name, mac: m as MacAddress })));
  } catch (error) {
    if (error instanceof AppError) return [];
    throw error;
  }
}
