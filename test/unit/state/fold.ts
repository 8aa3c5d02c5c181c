import { digestOf } from '../../../src/digest.ts';
import { type Ipv4, parseIpv4 } from '../../../src/net/ipv4.ts';
import { type MacAddress, parseMac } from '../../../src/net/mac.ts';
import type { ClientVia, Event, EventBody, ReportedStage } from '../../../src/state/event.ts';

/** Values and events that the tests of the state folder share. Times are seconds after an hour on one day. */

export const start = Date.parse('2026-03-04T09:00:00Z');

export function mac(last: number): MacAddress {
  const parsed = parseMac(`52:54:00:00:00:${last.toString(16).padStart(2, '0')}`);
  if (!parsed) throw new Error('no MAC');
  return parsed;
}

export function address(last: number): Ipv4 {
  const parsed = parseIpv4(`10.77.0.${last}`);
  if (!parsed) throw new Error('no address');
  return parsed;
}

export function event(seconds: number, body: EventBody, node = 'web1', machine = mac(1)): Event {
  return { at: start + seconds * 1000, machine, node, ...body };
}

export function dhcp(seconds: number, via: ClientVia, node = 'web1', machine = mac(1)): Event {
  return event(
    seconds,
    { kind: 'dhcp-acked', address: address(21), via, client: via },
    node,
    machine,
  );
}

export function loader(seconds: number, machine = mac(1)): Event {
  return event(
    seconds,
    { kind: 'loader-sent', file: 'undionly.kpxe', bytes: 90_000, via: 'tftp' },
    'web1',
    machine,
  );
}

export function script(
  seconds: number,
  bootId: string,
  roles: readonly string[] = ['web'],
  node = 'web1',
  machine = mac(1),
): Event {
  return event(
    seconds,
    {
      kind: 'script-sent',
      bootId,
      bootSet: digestOf(`set ${bootId}`),
      image: digestOf('image'),
      roles,
      address: address(21),
    },
    node,
    machine,
  );
}

export function report(
  seconds: number,
  bootId: string,
  stage: ReportedStage,
  reason = '',
  node = 'web1',
  machine = mac(1),
): Event {
  return event(seconds, { kind: 'stage', bootId, stage, reason, uptime: seconds }, node, machine);
}

/** A whole boot from the firmware's question to `ready`, 20 s long. */
export function wholeBoot(
  seconds: number,
  bootId: string,
  roles: readonly string[] = ['web'],
  node = 'web1',
  machine = mac(1),
): Event[] {
  return [
    dhcp(seconds, 'pxe', node, machine),
    loader(seconds + 1, machine),
    script(seconds + 2, bootId, roles, node, machine),
    report(seconds + 5, bootId, 'kernel', '', node, machine),
    report(seconds + 10, bootId, 'root', '', node, machine),
    report(seconds + 11, bootId, 'overlay', '', node, machine),
    report(seconds + 20, bootId, 'ready', '', node, machine),
  ];
}
