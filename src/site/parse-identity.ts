import type { MacAddress } from '../net/mac.ts';
import { readMac, readSerial, readUuid } from './read-values.ts';
import type { Fields, YamlPlace } from './yaml-file.ts';

/** A MAC and where it was written. */
export interface Nic {
  readonly mac: MacAddress;
  readonly place: YamlPlace;
}

/** What tells a machine from others: `MAC 52:54:…`, `UUID …`, `serial number …`, `switch port …`. */
export interface Mark {
  readonly mark: string;
  readonly place: YamlPlace;
}

/** What `id:` and `mac:` say. */
export interface Identity {
  readonly nics: readonly Nic[];
  /** Whether a MAC is written at all, readable or not. */
  readonly nicsWritten: boolean;
  /** Whether something else than a MAC tells the machine from others, readable or not. */
  readonly othersWritten: boolean;
  readonly uuid: string | undefined;
  readonly serial: string | undefined;
  readonly port: string | undefined;
  readonly marks: readonly Mark[];
}

/** Reads `id:`, or `mac:` at top level, which is short for it. */
export function readIdentity(found: Fields<'id' | 'mac'>): Identity {
  const id = found.id?.fields(['mac', 'uuid', 'serial', 'port']);
  if (found.mac && id?.mac) {
    found.mac.problem('mac is written here and in id', 'keep one of the two');
  }
  const nics = readNics(found.mac ?? id?.mac);
  const uuid = id?.uuid && readUuid(id.uuid);
  const serial = id?.serial && readSerial(id.serial);
  const port = id?.port?.text('switch1/ge-0/0/7')?.trim();
  if (id && Object.keys(id).length === 0 && !found.mac) {
    found.id?.problem('id is empty', 'mac, uuid, serial or port');
  }
  const marks: Mark[] = [];
  if (uuid !== undefined && id?.uuid) marks.push({ mark: `UUID ${uuid}`, place: id.uuid });
  if (serial !== undefined && id?.serial) {
    marks.push({ mark: `serial number ${serial}`, place: id.serial });
  }
  if (port !== undefined && id?.port) marks.push({ mark: `switch port ${port}`, place: id.port });
  const nicsWritten = (found.mac ?? id?.mac) !== undefined;
  const othersWritten = [id?.uuid, id?.serial, id?.port].some((place) => place !== undefined);
  return { nics, nicsWritten, othersWritten, uuid, serial, port, marks };
}

/** One MAC or a list, none twice. */
export function readNics(place: YamlPlace | undefined): readonly Nic[] {
  const nics: Nic[] = [];
  for (const item of place?.items() ?? []) {
    const mac = readMac(item);
    if (!mac) continue;
    if (nics.some((nic) => nic.mac === mac))
      item.problem(`${mac} is listed twice`, 'once is enough');
    else nics.push({ mac, place: item });
  }
  if (place && place.items().length === 0) {
    place.problem(`${place.name} is empty`, `such as ${place.name}: 52:54:00:00:00:11`);
  }
  return nics;
}

/** The NICs, each once, at the place where it was written first. */
export function uniqueNics(nics: readonly Nic[]): readonly Nic[] {
  return [...new Map(nics.toReversed().map((nic) => [nic.mac, nic])).values()].toReversed();
}
