import type { Event } from '../state/event.ts';

/** One line for an operator's log: time, machine, node, then what happened. */
export function renderEvent(event: Event): string {
  const time = new Date(event.at).toISOString().slice(11, 23);
  return `${time} ${event.machine} ${(event.node || '-').padEnd(12)} ${describe(event)}`;
}

function describe(event: Event): string {
  switch (event.kind) {
    case 'dhcp-offered':
      return `offered ${event.address} to ${event.client}`;
    case 'dhcp-acked':
      return `acknowledged ${event.address} to ${event.client}`;
    case 'proxy-answered':
      return `told ${event.client} to load ${event.file}${event.port === 'boot-server' ? ', on port 4011' : ''}`;
    case 'address-taken': {
      const from = event.server ? ` of the DHCP server ${event.server}` : '';
      return `takes ${event.address}${from}${event.warning ? `; ${event.warning}` : ''}`;
    }
    case 'dhcp-refused':
      return `refused by DHCP: ${event.reason}`;
    case 'dhcp-problem':
      return `DHCP problem: ${event.reason}`;
    case 'loader-sent':
      return `loader ${event.file}, ${event.bytes} bytes over ${event.via.toUpperCase()}`;
    case 'script-sent':
      return `script: ${event.roles.join(', ')}, boot set ${event.bootSet.slice(0, 12)}`;
    case 'blob-sent':
      return `${event.what}, ${event.bytes} bytes`;
    case 'stage':
      return `${event.stage} at ${event.uptime.toFixed(1)} s${event.reason ? `: ${event.reason}` : ''}`;
    case 'follow-sent':
      return `told to follow to boot set ${event.bootSet.slice(0, 12)}: ${event.means}`;
    case 'followed':
      return `runs boot set ${event.bootSet.slice(0, 12)} now: ${event.reason}`;
    case 'follow-failed':
      return `does not follow to boot set ${event.bootSet.slice(0, 12)}: ${event.reason}`;
    case 'hardware': {
      const { cpus, memory, disks, nics, product } = event.hardware;
      return `hardware: ${product}, ${cpus} CPUs, ${memory} MiB, ${disks.length} disks, ${nics.length} NICs`;
    }
    case 'silent':
      return 'silent: no report for 30 s';
    case 'warning':
      return event.reason === '' ? 'nothing to warn of any more' : `warning: ${event.reason}`;
    case 'refused':
      return `refused: ${event.reason}`;
    case 'volume':
      return `volume ${event.volume}: ${event.reason}`;
    case 'role-changed':
      return `role file says ${event.to.join(', ')} (was ${event.from.join(', ')}); reboot it to become that`;
  }
}
