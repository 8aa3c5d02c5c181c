import { AppError } from '../errors.ts';
import { type MacAddress, parseMac } from '../net/mac.ts';
import { suggestion } from '../site/did-you-mean.ts';
import { bootLink, type Site } from '../site/site.ts';

/**
 * The MACs by which a machine may boot, the likeliest first: of a node of the site, of a spare by its name, or
 * the one that was typed. Refuses with an AppError what is none of these.
 */
export function macsOf(site: Site, who: string): readonly [MacAddress, ...MacAddress[]] {
  const mac = parseMac(who) ?? spareMac(who);
  if (mac) return [mac];
  const node = site.nodes.get(who);
  const link = node && bootLink(site, node);
  const [first, ...rest] = new Set([...(node?.id.macs ?? []), ...(link?.macs ?? [])]);
  if (first) return [first, ...rest];
  if (node) {
    throw new AppError('usage', `${node.file} names no MAC`, 'rolecall explain <mac> takes one');
  }
  const hint = suggestion(who, [...site.nodes.keys()], 'nodes');
  throw new AppError('usage', `${who} is neither a node nor a MAC address`, hint);
}

function spareMac(name: string): MacAddress | undefined {
  return parseMac(/^spare-([0-9a-f]{12})$/.exec(name)?.[1] ?? '');
}
