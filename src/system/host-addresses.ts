import { runProgram } from './run-program.ts';

/**
 * This machine's IPv4 addresses. Node's own list leaves out an interface without a carrier, and a boot
 * server must start while its switch is down.
 */
export async function hostAddresses(): Promise<ReadonlySet<string>> {
  const { stdout } = await runProgram('ip', ['-json', '-4', 'address', 'show']);
  const links = JSON.parse(stdout) as { addr_info?: { local?: string }[] }[];
  return new Set(links.flatMap((link) => (link.addr_info ?? []).flatMap((a) => a.local ?? [])));
}
