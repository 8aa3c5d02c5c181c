import type { BootAddress } from '../boot/plan-boot.ts';
import { type Ipv4, netmask } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';

/** A machine whose firmware has an address from us. */
export interface AddressedMachine {
  readonly mac: MacAddress;
  readonly address: BootAddress;
  /** URL of its boot script. */
  readonly script: string;
}

/**
 * The line that our loader runs at its start, out of the acknowledgement that its firmware kept:
 * with the firmware's address it fetches the boot script at once; else it asks DHCP by our name.
 * At most 250 bytes, what option 175 has room for. A script that fails or returns leaves nothing else to
 * boot, so the machine restarts.
 */
export function loaderScriptlet(url: string): string {
  return [
    'set user-class rolecall',
    `&& set u ${url}`,
    `&& ifopen && chain \${u}`,
    // iPXE's `dhcp` command also waits for an IPv6 router; this asks DHCP alone.
    `|| ifconf -c dhcp && chain \${u}`,
    '|| sleep 15 && reboot',
  ].join(' ');
}

/**
 * `autoexec.ipxe`: UEFI builds of our loader ask for it by TFTP before anything else, which spares two seconds
 * of banner. The acknowledgement that the firmware kept says where the script is (option 210); asking DHCP
 * again would try every card of the machine in turn, and wait for those without a cable.
 * HTTP Boot firmware keeps no acknowledgement for others: there the loader asks by HTTP, next to its own URL,
 * and whoever asks is told the address that it asks from.
 */
export function renderAutoexec(machine?: AddressedMachine): string {
  return [
    '#!ipxe',
    'set user-class rolecall',
    `isset \${210:string} && ifopen && chain --replace \${210:string} ||`,
    ...(machine ? askFrom(machine) : []),
    ':ask',
    `ifconf -c dhcp && chain --replace \${filename} ||`,
    'echo rolecall: no boot script; asking again in 15 s',
    'sleep 15',
    'goto ask',
    '',
  ].join('\n');
}

/** Finds the card by its MAC, gives it the address that it has, and asks for the boot script. */
function askFrom({ mac, address, script }: AddressedMachine): readonly string[] {
  const given: readonly (readonly [string, Ipv4 | undefined])[] = [
    ['ip', address.address],
    ['netmask', netmask(address.subnet)],
    ['gateway', address.gateway],
  ];
  return [
    'set card:int32 0',
    ':card',
    `isset \${net\${card}/mac} || goto ask`,
    `iseq \${net\${card}/mac} ${mac} && goto found ||`,
    'inc card',
    'goto card',
    ':found',
    ...given.flatMap(([name, value]) => (value ? [`set net\${card}/${name} ${value}`] : [])),
    `ifopen net\${card} && chain --replace ${script}&arch=\${buildarch} ||`,
    ...given.flatMap(([name, value]) => (value ? [`clear net\${card}/${name}`] : [])),
  ];
}
