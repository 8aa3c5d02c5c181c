import { identifyMachine, type Machine, type MachineIdentity } from '../boot/identify-machine.ts';
import { recallIdentity } from '../boot/recall-identity.ts';
import type { MacAddress } from '../net/mac.ts';
import type { DhcpFacts } from '../pxe/dhcp-decision.ts';
import { clientIdentity, type DhcpClient } from '../pxe/identify-client.ts';
import type { Site } from '../site/site.ts';
import { findRival } from '../state/find-rival.ts';
import type { KnownMachines } from '../state/known-machines.ts';
import type { Journal } from './journal.ts';

/** Who a machine is, by what it says and said. */
export interface Identified {
  readonly identity: MachineIdentity;
  readonly machine: Machine;
  /** Another machine that lives as the same node now. */
  readonly rival?: MacAddress;
}

export interface IdentifyParts {
  readonly site: Site;
  readonly known: KnownMachines;
  readonly journal: Pick<Journal, 'machines'>;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Asks the site who a machine is, with what is remembered of it; DHCP and the boot script ask the same. */
export function identifyByMemory(parts: IdentifyParts, said: MachineIdentity): Identified {
  const identity = recallIdentity(said, parts.known.of(said.mac));
  const machine = identifyMachine(parts.site, identity);
  // A MAC in a role file is the operator's word for this very machine.
  if (machine.kind !== 'node' || machine.by === 'mac') return { identity, machine };
  const rival = findRival(parts.journal.machines(), machine.node, identity, parts.now);
  return { identity, machine, ...(rival === undefined ? {} : { rival }) };
}

/** Who asks DHCP, and why it has to wait where it does. What netboots is remembered. */
export function identifyDhcpClient(
  parts: IdentifyParts,
  client: DhcpClient,
): Pick<DhcpFacts, 'machine' | 'rival'> {
  // A management controller asks through the port of its machine's first card, and is not that machine.
  const netboots = client.via !== 'os' || client.arch !== undefined;
  if (netboots) parts.known.heard(clientIdentity(client));
  const { mac, uuid } = client;
  const said = uuid === undefined ? { mac } : { mac, uuid };
  const { machine, rival } = identifyByMemory(parts, said);
  if (machine.kind !== 'node' || rival === undefined) return { machine };
  return { machine, rival: describeRival(machine, rival) };
}

/** Why a machine has to wait, in an operator's words. */
export function describeRival(
  machine: Extract<Machine, { kind: 'node' }>,
  rival: MacAddress,
): string {
  const by = { mac: 'MAC', uuid: 'UUID', serial: 'serial number', port: 'switch port' }[machine.by];
  return `${machine.node.name} runs on ${rival} now, and this machine claims it too by its ${by}: switch one of them off, or give this one a role file with its MAC`;
}
