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
 */
export function renderAutoexec(): string {
  return [
    '#!ipxe',
    'set user-class rolecall',
    `isset \${210:string} && ifopen && chain --replace \${210:string} ||`,
    ':ask',
    `ifconf -c dhcp && chain --replace \${filename} ||`,
    'echo rolecall: no boot script; asking again in 15 s',
    'sleep 15',
    'goto ask',
    '',
  ].join('\n');
}
