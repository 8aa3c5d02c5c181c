import { loaderPath } from '../boot/boot-paths.ts';
import type { Machine } from '../boot/identify-machine.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import type { Site } from '../site/site.ts';
import { dhcpOption, ipv4Bytes, packSubOptions, textBytes } from './dhcp-options.ts';
import type { DhcpClient } from './identify-client.ts';
import { scriptUrl } from './ipxe-script.ts';
import { architectures, chooseLoader, loaderWishes } from './loader-by-client.ts';
import { loaderScriptlet } from './loader-scriptlet.ts';

/** What a reply says about booting. */
export type BootAnswer =
  | {
      readonly kind: 'boot';
      /** For the BOOTP field and option 67: a TFTP name or a URL. */
      readonly file: string;
      readonly options: readonly (readonly [number, Uint8Array])[];
    }
  /** An operating system that only wants an address. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'none'; readonly reason: string };

export interface BootFacts {
  readonly serverAddress: Ipv4;
  /** `http://10.77.0.1`, with a port where it is not 80. */
  readonly httpServer: string;
  /** Whether this iPXE is our own loader, though it does not say so. */
  readonly isOurLoader: boolean;
  readonly site: Pick<Site, 'secureBoot'>;
  /** Who the client is: its role file may say which loader it takes. */
  readonly machine: Machine;
}

/**
 * What the client shall load next: a loader by its architecture, or, where it is our loader, the boot script.
 * A `proxy` says it without giving the address.
 */
export function bootAnswer(
  client: DhcpClient,
  facts: BootFacts,
  as: 'server' | 'proxy',
): BootAnswer {
  if (client.via === 'os' && client.arch === undefined) return { kind: 'nothing' };
  const server: [number, Uint8Array] = [dhcpOption.tftpServer, closedText(facts.serverAddress)];
  // Some ROMs and switches read this one alone (RFC 5859).
  const servers: [number, Uint8Array] = [dhcpOption.tftpServers, ipv4Bytes(facts.serverAddress)];
  const named = (file: string): [number, Uint8Array] => [dhcpOption.bootFile, closedText(file)];

  // A ROM too old to name its architecture is a BIOS one.
  const arch = client.arch ?? 0;
  const script = scriptUrl(facts.httpServer, client.mac, architectures[arch]?.loaders?.runs);
  if (client.via === 'rolecall' || (client.via === 'ipxe' && facts.isOurLoader)) {
    const options = as === 'proxy' ? [proxyClass] : [ipxeOptions()];
    return { kind: 'boot', file: script, options: [named(script), ...options] };
  }

  const node = facts.machine.kind === 'node' ? facts.machine.node : undefined;
  const loader = chooseLoader(arch, loaderWishes(facts.site, node));
  if (loader === undefined) {
    return {
      kind: 'none',
      reason: `there is no loader for ${architectures[arch]?.name ?? `architecture ${arch}`}`,
    };
  }
  const options = ipxeOptions(loaderScriptlet(script));
  // For autoexec.ipxe, which only UEFI builds of our loader ask for.
  const prefix: readonly [number, Uint8Array][] =
    client.firmware === 'uefi' ? [[dhcpOption.pathPrefix, textBytes(script)]] : [];
  switch (client.via) {
    case 'http': {
      const file = `${facts.httpServer}/${loaderPath(loader)}`;
      // UEFI takes an offer for HTTP Boot only from who says so (UEFI 2.10 §24.7.3.1).
      const says: [number, Uint8Array] = [dhcpOption.vendorClass, textBytes('HTTPClient')];
      return { kind: 'boot', file, options: [named(file), says, options] };
    }
    case 'pxe': {
      const file = loaderPath(loader);
      return {
        kind: 'boot',
        file,
        options: [named(file), server, ...pxeOptions(client, as), options, ...prefix, servers],
      };
    }
    case 'ipxe':
    case 'os': {
      const file = loaderPath(loader);
      const says = as === 'proxy' ? [proxyClass] : [];
      return {
        kind: 'boot',
        file,
        options: [named(file), server, ...says, options, ...prefix, servers],
      };
    }
  }
}

/**
 * A name with its closing NUL. EDK2 writes one behind a boot file name that has none, over the code of the
 * next option: whoever reads its copy of the acknowledgement, as our loader does, finds no option after it.
 */
function closedText(text: string): Uint8Array {
  return textBytes(`${text}\0`);
}

const discoveryControl = 6;
const useBootFile = 8;

/** An offer without an address counts, for iPXE too, only where it says "PXEClient" (PXE 2.1 §2.2.1). */
const proxyClass: readonly [number, Uint8Array] = [dhcpOption.vendorClass, textBytes('PXEClient')];

/**
 * "PXEClient" ends the firmware's wait for a proxyDHCP server. Alone it sends EDK2 to UDP port 4011;
 * PXE_DISCOVERY_CONTROL with bit 3 (PXE 2.1 table 2-1) tells it to load the boot file of this reply instead.
 * Some UEFI firmware passes over an offer without an address that says so, but all asks on 4011.
 */
function pxeOptions(
  client: DhcpClient,
  as: 'server' | 'proxy',
): readonly (readonly [number, Uint8Array])[] {
  if (as === 'proxy' && client.firmware === 'uefi') return [proxyClass];
  const control = packSubOptions([[discoveryControl, Uint8Array.of(useBootFile)]]);
  return [
    proxyClass,
    [dhcpOption.vendorSpecific, Buffer.concat([control, Uint8Array.of(dhcpOption.end)])],
  ];
}

const noPxeDhcp = 0xb0;
const scriptlet = 0x51;

/** iPXE's own settings: `no-pxedhcp` ends its wait for a proxyDHCP server, the scriptlet is run at its start. */
function ipxeOptions(line?: string): [number, Uint8Array] {
  return [
    dhcpOption.ipxe,
    packSubOptions([
      [noPxeDhcp, Uint8Array.of(1)],
      ...(line === undefined ? [] : [[scriptlet, textBytes(line)] as const]),
    ]),
  ];
}
