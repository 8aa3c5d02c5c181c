import { broadcastAddress, type Ipv4, ipv4FromNumber, ipv4ToNumber } from '../net/ipv4.ts';
import { isHostAddress } from './read-values.ts';
import type { Network } from './site.ts';
import type { YamlPlace } from './yaml-file.ts';

/** Somebody in the site says: this address is mine. */
export interface AddressClaim {
  readonly address: Ipv4;
  readonly network: string;
  readonly kind: 'server' | 'gateway' | 'node' | 'vip' | 'inside' | 'volume';
  /** Such as `the address of node web1`. */
  readonly what: string;
  /** Only for a service's VIP: `tcp 80`. */
  readonly ports: readonly string[];
  readonly place: YamlPlace;
}

/** Reports every address claimed twice and every claim inside a pool, at the later claim. */
export function checkAddressClaims(
  claims: readonly AddressClaim[],
  networks: ReadonlyMap<string, Network>,
): void {
  const taken = new Set(claims.map((c) => c.address));
  const free = (name: string) => {
    const network = networks.get(name);
    const next = network && nextFreeAddress(network, taken);
    return next ? `${next} is free` : 'no address is free there';
  };
  claims.forEach((claim, index) => {
    const pool = networks.get(claim.network)?.pool;
    if (pool && isBetween(claim.address, pool)) {
      claim.place.problem(
        `${claim.address}, ${claim.what}, is in the pool ${pool.first}-${pool.last}`,
        `the pool is for machines that no role file names; ${free(claim.network)}`,
      );
    }
    const other = claims.slice(0, index).find((c) => c.address === claim.address);
    const clash = claims
      .slice(0, index)
      .find((c) => c.address === claim.address && !mayShare(c, claim));
    if (!other || !clash) return;
    const port = clash.ports.find((p) => claim.ports.includes(p));
    const both = port === undefined ? '' : ` with port ${port}`;
    claim.place.problem(
      `${claim.address}, ${claim.what}, is also ${clash.what}${both} (${clash.place.file}:${clash.place.line})`,
      port === undefined ? free(claim.network) : `another port, or another VIP`,
    );
  });
}

/** One machine can be boot server and router; balancers can be the gateway behind them. */
function mayShare(a: AddressClaim, b: AddressClaim): boolean {
  const kinds = new Set([a.kind, b.kind]);
  if (kinds.has('server') && kinds.has('gateway')) return true;
  if (kinds.has('gateway') && kinds.has('inside')) return true;
  if (a.kind === 'inside' && b.kind === 'inside') return true;
  return a.kind === 'vip' && b.kind === 'vip' && !a.ports.some((p) => b.ports.includes(p));
}

/** Whether the address lies in the range, ends included. */
export function isBetween(
  address: Ipv4,
  range: { readonly first: Ipv4; readonly last: Ipv4 },
): boolean {
  const value = ipv4ToNumber(address);
  return value >= ipv4ToNumber(range.first) && value <= ipv4ToNumber(range.last);
}

/**
 * The first address of a network that nobody has and that is not in the pool, counted up from `after`
 * and then from the network's start; undefined where the network is full.
 */
export function nextFreeAddress(
  network: Network,
  taken: ReadonlySet<Ipv4>,
  after?: Ipv4,
): Ipv4 | undefined {
  const first = ipv4ToNumber(network.subnet.base);
  const last = ipv4ToNumber(broadcastAddress(network.subnet));
  const size = last - first + 1;
  const start = after === undefined ? first : ipv4ToNumber(after) + 1;
  for (let step = 0; step < size; step++) {
    const value = first + ((start - first + step) % size);
    const address = ipv4FromNumber(value);
    if (network.pool && isBetween(address, network.pool)) {
      const poolEnd = ipv4ToNumber(network.pool.last);
      step += Math.max(0, poolEnd - value);
      continue;
    }
    if (isHostAddress(network.subnet, address) && !taken.has(address)) return address;
  }
  return undefined;
}
