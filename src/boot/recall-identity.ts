import type { MachineIdentity } from './identify-machine.ts';

/** What is remembered of the machine behind a MAC. */
export type KnownIdentity = Omit<MachineIdentity, 'mac'>;

/**
 * Who a machine is by what it says now and, where it says nothing, by what it said before: firmware tells DHCP no
 * serial number, some cards no UUID, and HTTP no switch port. A card that says another UUID is in another machine.
 */
export function recallIdentity(
  said: MachineIdentity,
  known: KnownIdentity | undefined,
): MachineIdentity {
  if (known === undefined) return said;
  const isMoved =
    said.uuid !== undefined && known.uuid !== undefined && !isSameUuid(said.uuid, known.uuid);
  return isMoved ? said : { ...known, ...said };
}

/** Firmware and loaders differ in the byte order of the first three fields (SMBIOS 2.6 §7.2.1). */
function isSameUuid(a: string, b: string): boolean {
  return a === b || turnFields(a) === b;
}

function turnFields(uuid: string): string {
  const [one = '', two = '', three = '', ...rest] = uuid.split('-');
  const turned = [one, two, three].map((part) => part.match(/../g)?.reverse().join('') ?? '');
  return [...turned, ...rest].join('-');
}
