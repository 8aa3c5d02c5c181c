import { nodeArchitecture } from '../boot/node-architecture.ts';
import type { Site, SiteNode } from '../site/site.ts';

/** Which driver of its network card a loader uses: its own, or the firmware's (UNDI, SNP). */
type LoaderFlavour = NonNullable<SiteNode['loader']>;

/** What a client architecture number means here. */
export interface Architecture {
  /** For an operator's eyes. */
  readonly name: string;
  readonly firmware: 'bios' | 'uefi';
  /** Absent where there is no loader yet. */
  readonly loaders?: Loaders;
}

/** File names of an architecture's loaders. */
interface Loaders {
  /** Which images they can boot, in Debian's word. */
  readonly runs: 'amd64' | 'arm64';
  readonly native: string;
  readonly firmware: string;
  /** The flavour that a machine gets whose role file says nothing. */
  readonly usual: LoaderFlavour;
  /** What firmware starts that enforces Secure Boot, and what that starts in turn, from beside it. */
  readonly signed?: { readonly first: string; readonly second: string };
}

/** UNDI works with every card whose ROM got this far; the image's own drivers are a minority's. */
const bios: Loaders = {
  runs: 'amd64',
  native: 'ipxe.pxe',
  firmware: 'undionly.kpxe',
  usual: 'firmware',
};

const x64: Loaders = {
  runs: 'amd64',
  native: 'ipxe.efi',
  firmware: 'snponly.efi',
  usual: 'native',
  signed: { first: 'shimx64.efi', second: 'grubx64.efi' },
};

/** GRUB has no drivers of its own: one signed build goes by the firmware's, with and without Secure Boot. */
const arm64: Loaders = {
  runs: 'arm64',
  native: 'ipxe-arm64.efi',
  firmware: 'grubaa64.efi',
  usual: 'firmware',
  signed: { first: 'shimaa64.efi', second: 'grubaa64.efi' },
};

/** Client architectures by number (RFC 4578 §2.1 and IANA's "Processor Architecture Types"). */
export const architectures: Readonly<Record<number, Architecture>> = {
  0: { name: 'BIOS', firmware: 'bios', loaders: bios },
  6: { name: 'UEFI x86 (32 bit)', firmware: 'uefi' },
  7: { name: 'UEFI x86-64', firmware: 'uefi', loaders: x64 },
  // RFC 4578 gives 9 to x86-64 and 7 to byte code; firmware was built to either reading.
  9: { name: 'UEFI x86-64', firmware: 'uefi', loaders: x64 },
  10: { name: 'UEFI ARM (32 bit)', firmware: 'uefi' },
  11: { name: 'UEFI ARM64', firmware: 'uefi', loaders: arm64 },
  15: { name: 'UEFI x86 (32 bit) HTTP', firmware: 'uefi' },
  16: { name: 'UEFI x86-64 HTTP', firmware: 'uefi', loaders: x64 },
  18: { name: 'UEFI ARM (32 bit) HTTP', firmware: 'uefi' },
  19: { name: 'UEFI ARM64 HTTP', firmware: 'uefi', loaders: arm64 },
};

/** What the operator wrote about loaders. */
export interface LoaderWishes {
  /** site.yaml's: every UEFI machine gets the signed pair, for DHCP does not say whose firmware enforces it. */
  readonly secureBoot: boolean;
  /** The role file's. */
  readonly flavour?: LoaderFlavour | undefined;
}

/** The file that a client of this architecture loads first; undefined where there is none for it. */
export function chooseLoader(arch: number, wishes: LoaderWishes): string | undefined {
  const loaders = architectures[arch]?.loaders;
  if (!loaders) return undefined;
  const signed = wishes.secureBoot ? loaders.signed?.first : undefined;
  return signed ?? loaders[wishes.flavour ?? loaders.usual];
}

/** The wishes of a machine that is this node; of a machine without a role file where absent. */
export function loaderWishes(site: Pick<Site, 'secureBoot'>, node?: SiteNode): LoaderWishes {
  return { secureBoot: site.secureBoot, flavour: node?.loader };
}

/** The loaders that a machine of these wishes may ask for, by its architecture, each once. */
export function loadersOf(
  wishes: LoaderWishes,
  among = Object.keys(architectures),
): readonly string[] {
  return [
    ...new Set(
      among.flatMap((arch) => {
        const first = chooseLoader(Number(arch), wishes);
        const signed = architectures[Number(arch)]?.loaders?.signed;
        if (first === undefined) return [];
        return signed?.first === first ? [first, signed.second] : [first];
      }),
    ),
  ];
}

/** The loaders that the machines of a site cannot do without: those of architectures that there are images of. */
export function neededLoaders(site: Site): readonly string[] {
  const wishes = [undefined, ...site.nodes.values()].map((node) => loaderWishes(site, node));
  const bootable = Object.keys(architectures).filter(
    (arch) => architectures[Number(arch)]?.loaders?.runs === nodeArchitecture,
  );
  return [...new Set(wishes.flatMap((wish) => loadersOf(wish, bootable)))];
}
