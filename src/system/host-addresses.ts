import { runProgram } from './run-program.ts';

/**
 * This machine's IPv4 addresses, each with the interface that has it. Node's own list leaves out an interface without a carrier, and a boot
 * server must start while its switch is down.
 */
export async function hostAddresses(): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await runProgram('ip', ['-json', '-4', 'address', 'show']);
  const links = JSON.parse(stdout) as {
    ifname: string;
    addr_info?: { local?: string }[];
  }[];
  return new Map(
    links.flatMap((link) =>
      (link.addr_info ?? []).flatMap(({ local }) => (local ? [[local, link.ifname] as const] : [])),
    ),
  );
}
