import { createHash } from 'node:crypto';
import { spareName } from '../boot/identify-machine.ts';
import { AppError } from '../errors.ts';
import type { MacAddress } from '../net/mac.ts';
import { parseMac } from '../net/mac.ts';
import type { Site, SiteNode } from '../site/site.ts';
import { startOrder } from './start-order.ts';

/** One network card of a guest. */
export interface VmNic {
  readonly mac: MacAddress;
  /** Name of the network whose bridge it is plugged into. */
  readonly network: string;
}

/** One disk of a guest. */
export interface VmDisk {
  /** udev(7) on the guest makes `/dev/disk/by-id/virtio-<serial>` of it; virtio-blk has room for 20 characters. */
  readonly serial: string;
  /** MiB. */
  readonly size: number;
}

/** QEMU's device name of a network card. */
export type NicModel = 'virtio-net-pci' | 'e1000' | 'e1000e';

/** The hardware of one guest: what a person would order, nothing of what it will become. */
export interface VmSpec {
  /** Name in the lab: the node's, or `spare-<digits of the MAC>`. */
  readonly name: string;
  readonly processor: 'x86-64' | 'arm64';
  /** An arm64 machine has UEFI. */
  readonly firmware: 'bios' | 'uefi';
  /** How UEFI firmware asks the network; `http` knows no PXE. */
  readonly bootBy: 'pxe' | 'http';
  /** Whether UEFI firmware starts only what Microsoft's keys vouch for. */
  readonly secureBoot: boolean;
  /** MiB. */
  readonly memory: number;
  /** Virtual CPUs. */
  readonly cpus: number;
  readonly nicModel: NicModel;
  /**
   * Whose ROM the first card has: that of the host's QEMU, or the image's, which is an iPXE of the suite for
   * BIOS guests and none at all for UEFI.
   */
  readonly rom: 'image' | 'host';
  /** The first one is the one to boot by. */
  readonly nics: readonly VmNic[];
  /** Blank when the lab starts. */
  readonly disks: readonly VmDisk[];
  /** Lower case with dashes; what the firmware tells DHCP in option 97. */
  readonly uuid: string;
  /** SMBIOS serial number. */
  readonly serial: string;
}

/** What may be ordered for a guest in place of the usual; `secureBoot` and `arm64` mean UEFI. */
export type GuestHardware = Partial<
  Pick<
    VmSpec,
    'processor' | 'firmware' | 'bootBy' | 'secureBoot' | 'memory' | 'nicModel' | 'rom' | 'disks'
  >
>;

export interface GuestWishes {
  /** Names of nodes and spares to start; all where absent. */
  readonly only?: readonly string[];
  /** How many machines that no role file names. */
  readonly spares: number;
  /** Names with UEFI firmware; every second guest where absent. */
  readonly uefi?: readonly string[];
  /** By name of the guest. */
  readonly hardware?: Readonly<Record<string, GuestHardware>>;
  /** How many disks besides those of its volumes a guest has, by name. */
  readonly spareDisks?: Readonly<Record<string, number>>;
  /** MiB of each guest. */
  readonly memory: number;
}

/** 512 MiB carry the kernel, the root in RAM and a role; some of the first tries with less panicked. */
export const defaultMemory = 512;

/** The MAC of the nth spare's nth card, both counted from 0: `52:54:00:77:00:99`, then `…:9a`. */
export function spareMac(index: number, card = 0): MacAddress {
  const hex = (n: number) => n.toString(16).padStart(2, '0');
  return macFromText(`52540077${hex(card)}${hex(0x99 + index)}`);
}

/**
 * The guests of a lab: one per node with a network card on a boot network, and the spares, what a small PC
 * should carry first in front. Spares have what any of the nodes has: a card on each network, a disk for
 * each volume. Refuses names in the wishes that are no guest.
 */
export function planGuests(site: Site, wishes: GuestWishes): readonly VmSpec[] {
  const boot = [...site.networks.values()].find((n) => n.server !== undefined);
  if (!boot) {
    throw new AppError(
      'lab-no-boot-network',
      'no network of the site has a boot server',
      'give one network of site.yaml a `server:` address',
    );
  }
  const ofNodes = (names: readonly string[]) =>
    names.flatMap((name): Candidate[] => {
      const node = site.nodes.get(name);
      const nics = node ? nicsOf(site, node, boot.name) : [];
      return node && nics.length > 0 ? [{ name, nics, disks: disksOf(site, node), node }] : [];
    });
  const order = startOrder(site);
  const candidates = [
    ...ofNodes(order.beforeSpares),
    ...Array.from({ length: wishes.spares }, (_, i) => spareOf(site, boot.name, i)),
    ...ofNodes(order.afterSpares),
  ];
  const hardware = wishes.hardware ?? {};
  const named = [...(wishes.only ?? []), ...(wishes.uefi ?? []), ...Object.keys(hardware)];
  const unknown = named.filter((name) => !candidates.some((c) => c.name === name));
  if (unknown.length > 0) {
    throw new AppError(
      'lab-unknown-guest',
      `the lab has no guest ${unknown.join(', ')}`,
      `its guests are ${candidates.map((c) => c.name).join(', ')}`,
    );
  }
  const wanted = candidates.filter((c) => wishes.only?.includes(c.name) ?? true);
  return candidates
    .map(({ name, nics, disks, node }, index): VmSpec => {
      const uefi = wishes.uefi ? wishes.uefi.includes(name) : index % 2 === 1;
      return {
        name,
        processor: 'x86-64',
        firmware: uefi || needsUefi(hardware[name]) ? 'uefi' : 'bios',
        bootBy: 'pxe',
        secureBoot: false,
        memory: wishes.memory,
        // Under TCG with two, one kernel in some twenty boots has ended in "Fatal exception in interrupt".
        cpus: 1,
        nicModel: 'virtio-net-pci',
        rom: 'image',
        disks: [...disks, ...blankDisks(wishes.spareDisks?.[name] ?? 0)],
        ...hardware[name],
        nics,
        uuid: node?.id.uuid ?? uuidOf(name),
        serial: node?.id.serial ?? `LAB-${name.toUpperCase()}`,
      };
    })
    .filter((spec) => wanted.some((c) => c.name === spec.name));
}

interface Candidate {
  readonly name: string;
  readonly nics: readonly VmNic[];
  readonly disks: readonly VmDisk[];
  readonly node?: SiteNode;
}

/** The nth machine that no role file names. */
function spareOf(site: Site, bootNetwork: string, index: number): Candidate {
  const mac = spareMac(index);
  const others = [...site.networks.keys()].filter((network) => network !== bootNetwork);
  const cards = others.map((network, i) => ({ mac: spareMac(index, i + 1), network }));
  const devices = new Set([...site.volumes.values()].map(({ device }) => device));
  const disks = [...devices].flatMap(diskFor);
  return { name: spareName(mac), nics: [{ mac, network: bootNetwork }, ...cards], disks };
}

function needsUefi(hardware: GuestHardware | undefined): boolean {
  return hardware?.secureBoot === true || hardware?.processor === 'arm64';
}

/** The cards that the role file names, boot network first; those of links that name none are made up. */
function nicsOf(site: Site, node: SiteNode, bootNetwork: string): readonly VmNic[] {
  const linked = node.links.flatMap((link) =>
    (link.macs.length > 0 ? link.macs : [madeUpMac(node.name, link.network)]).map((mac) => ({
      mac,
      network: link.network,
    })),
  );
  const rest = node.id.macs
    .filter((mac) => !linked.some((nic) => nic.mac === mac))
    .map((mac) => ({ mac, network: bootNetwork }));
  const all = [...linked, ...rest];
  if (all.length === 0) return [{ mac: madeUpMac(node.name, bootNetwork), network: bootNetwork }];
  const boots = (nic: VmNic) => site.networks.get(nic.network)?.server !== undefined;
  return boots(all[0] ?? { mac: macFromText('525400000000'), network: '' })
    ? all
    : [...all.filter(boots), ...all.filter((nic) => !boots(nic))];
}

/** A card for a link that names none, the same for a node and a network on every run. */
export function madeUpMac(node: string, network: string): MacAddress {
  const digits = createHash('sha256').update(`${node} ${network}`).digest('hex').slice(0, 6);
  return macFromText(`525400${digits}`);
}

/** MiB of a disk; enough for file systems and replication, and a resynchronisation takes seconds. */
const diskSize = 256;

/** The disks on which the node keeps volumes. */
function disksOf(site: Site, node: SiteNode): readonly VmDisk[] {
  return [...site.volumes.values()]
    .filter((volume) => volume.nodes.includes(node.name))
    .flatMap(({ device }) => diskFor(device));
}

/** The disk that is a device on its node, where it is named so that QEMU can play it. */
function diskFor(device: string): readonly VmDisk[] {
  const serial = /^\/dev\/disk\/by-id\/virtio-([^/]{1,20})$/.exec(device)?.[1];
  return serial === undefined ? [] : [{ serial, size: diskSize }];
}

function blankDisks(count: number): readonly VmDisk[] {
  return Array.from({ length: count }, (_, i) => ({ serial: `blank${i + 1}`, size: diskSize }));
}

/** A UUID that is the same for a name on every run, so that a rebuilt lab has the same machines. */
function uuidOf(name: string): string {
  const hex = createHash('sha256').update(`rolecall lab ${name}`).digest('hex');
  return [8, 12, 16, 20, 32]
    .map((end, i, ends) => hex.slice(ends[i - 1] ?? 0, end))
    .map((part, i) => (i === 2 ? `4${part.slice(1)}` : i === 3 ? `8${part.slice(1)}` : part))
    .join('-');
}

function macFromText(text: string): MacAddress {
  const mac = parseMac(text);
  if (!mac) throw new AppError('lab-mac', `${text} is no Ethernet address`);
  return mac;
}
