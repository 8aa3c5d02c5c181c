import type { Architecture, Distribution } from './distributions/distribution.ts';
import type { HardwareClass } from './hardware-class.ts';

/** `images/<name>.yaml`: what an image is made of. */
export interface ImageDefinition extends ImageContents {
  readonly name: string;
  /** The image that this one extends: what differs from it is a layer of its own. */
  readonly parent?: ImageDefinition;
  readonly distribution: Distribution;
  /** Its code name, such as `trixie`. */
  readonly suite: string;
  /** As mmdebstrap's `--variant`: `extract` unpacks and configures nothing. */
  readonly variant: 'minbase' | 'extract';
  /** Kernel package by architecture. */
  readonly kernel: Readonly<Partial<Record<Architecture, string>>>;
  /** Whether the packages of all roles are added. */
  readonly rolePackages: boolean;
  /** SOURCE_DATE_EPOCH. */
  readonly date: Date;
  /** For which hardware it has drivers, undefined where for all; and for which it has firmware. */
  readonly hardware: {
    readonly drivers: readonly HardwareClass[] | undefined;
    readonly firmware: readonly HardwareClass[];
  };
  /** Such as `de_DE.UTF-8`; undefined where the system's own (C.UTF-8) is enough. */
  readonly locale: string | undefined;
  readonly compression: Compression;
  /** Where each loader is found: package, and path in it. */
  readonly loaders: Readonly<Record<string, LoaderSource>>;
}

/** The image and those that it extends, the lowest first. */
export function chainOf(definition: ImageDefinition): readonly ImageDefinition[] {
  return definition.parent ? [...chainOf(definition.parent), definition] : [definition];
}

/** What an image brings, and what one that extends another adds. */
export interface ImageContents {
  readonly packages: readonly string[];
  /** Repositories besides the distribution's. */
  readonly sources: readonly ExtraSource[];
  /** Lines for debconf-set-selections(1). */
  readonly answers: readonly string[];
  readonly users: readonly ImageUser[];
  readonly files: readonly CopiedFiles[];
  readonly hooks: readonly Hook[];
  readonly prune: { readonly paths: readonly string[]; readonly modules: readonly string[] };
}

/** How a root is packed. */
export interface Compression {
  readonly type: 'zstd' | 'lz4' | 'xz';
  /** 1 to 22, of zstd alone. */
  readonly level: number | undefined;
}

export interface LoaderSource {
  readonly package: string;
  /** The image's own where absent. */
  readonly architecture?: Architecture | undefined;
  readonly path: string;
}

/** A repository of packages that its own key signs. */
export interface ExtraSource {
  readonly uri: string;
  readonly suite: string;
  readonly components: readonly string[];
  /** Absolute path of its key. */
  readonly key: string;
}

/** An account without a password. */
export interface ImageUser {
  readonly name: string;
  /** The next free one where undefined. */
  readonly uid: number | undefined;
  readonly groups: readonly string[];
  readonly shell: string;
  readonly home: string | undefined;
  /** A system account, of a service and not of a person. */
  readonly system: boolean;
}

/** A file, or a folder with all that is in it, of the site. */
export interface CopiedFiles {
  /** Absolute path. */
  readonly from: string;
  /** Where it goes, without a leading slash; of a folder, where what is in it goes. */
  readonly to: string;
  /** Undefined: 0755 where the file may be executed, 0644 where not. */
  readonly mode: number | undefined;
  /** `user:group`, names of the image's accounts. */
  readonly owner: string;
}

/** A program of the site that is run in the image's root. */
export interface Hook {
  /** Absolute path of the script. */
  readonly run: string;
  readonly network: boolean;
  /** Names of the files that it finds in /run/secrets. */
  readonly secrets: readonly string[];
}
