import type { Ipv4 } from '../net/ipv4.ts';

/** Services of a node that the host reaches on its loopback, and the first port of each. */
const services = {
  http: { guest: 80, base: 8_100 },
  imap: { guest: 143, base: 14_300 },
  ssh: { guest: 22, base: 22_000 },
  smtp: { guest: 25, base: 25_000 },
} as const;

export type LabService = keyof typeof services;

/** Where the console is on the host's loopback. */
export const consolePort = 8_470;

/** A port on the host's loopback that leads to a node's port. */
export interface HostPort {
  readonly service: LabService;
  /** TCP port on the node. */
  readonly guest: number;
  /** TCP port on 127.0.0.1: a base by service, plus the last number of the node's address. */
  readonly host: number;
}

/** The ports of the node at this address: web1 at 10.77.0.11 has its HTTP on 8111. */
export function hostPorts(address: Ipv4): readonly HostPort[] {
  const last = Number(address.split('.')[3]);
  return Object.entries(services).map(([service, { guest, base }]) => ({
    service: service as LabService,
    guest,
    host: base + last,
  }));
}
