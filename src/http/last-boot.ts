import { architectureOf, bootSteps } from '../pxe/boot-steps.ts';
import { describePacket, type Endpoint } from '../pxe/wire-packet.ts';
import type { LastBoot } from './admin-service.ts';
import type { LastBootAnswer } from './api-schemas.ts';

/** A machine's last boot as the API tells it. */
export function renderLastBoot(boot: LastBoot): LastBootAnswer {
  const { state, verdict, hint } = boot.diagnosis;
  return {
    ...{ machine: boot.machine, at: iso(boot.at), state, verdict, hint, dropped: boot.dropped },
    architecture: architectureOf(bootSteps(boot.packets)) ?? null,
    packets: boot.packets.map((packet) => ({
      at: iso(packet.at),
      protocol: packet.protocol,
      direction: packet.direction,
      local: place(packet.local),
      remote: place(packet.remote),
      summary: describePacket(packet),
      bytes: packet.bytes.length,
    })),
  };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}

function place({ address, port }: Endpoint): string {
  return `${address}:${port}`;
}
