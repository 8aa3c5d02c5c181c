import { isIP } from 'node:net';

/**
 * Whether a Host header (RFC 9110 §7.2) names this server: `localhost`, an IP address or one of `names`.
 * A web page whose own name was made to point at this machine sends that name, and is refused (DNS rebinding).
 */
export function isHostAllowed(header: string | undefined, names: readonly string[]): boolean {
  const host = (header ?? '').toLowerCase().replace(/:\d+$/, '');
  const address = host.replace(/^\[(.*)\]$/, '$1');
  return isIP(address) !== 0 || host === 'localhost' || names.includes(host);
}
