/** A behaviour: one folder with `role.yaml` and `files/**`, whose paths are paths on the node. */
export interface Role {
  readonly name: string;
  /** Absolute path of the folder. */
  readonly dir: string;
  /** Whether it is the site's own, shadowing or adding to the shipped ones. */
  readonly own: boolean;
  readonly summary: string;
  /** Debian packages the image must hold. */
  readonly packages: readonly string[];
  /** systemd units that this role enables. */
  readonly units: readonly string[];
  /**
   * Templates of the ports on which it listens, such as `tcp/80`, each for none or several, separated by
   * blanks. Absent where the role does not say.
   */
  readonly listens?: readonly string[];
  /** Kernel modules loaded at boot. */
  readonly modules: readonly string[];
  /** Kernel arguments. */
  readonly arguments: readonly string[];
  readonly sysctls: Readonly<Record<string, string>>;
  /** JSON Schema (type: object) of the role's parameters, defaults in it. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly needs: { readonly memory?: number; readonly disks?: number; readonly nics?: number };
  /** Mode, owner and merge rule by path on the node; default root 0644. */
  readonly files: Readonly<Record<string, RoleFileRule>>;
  /** The tree under `files/`, sorted by path. */
  readonly tree: readonly RoleFile[];
  /** Paths of the image to delete on the node. */
  readonly remove: readonly string[];
  /** Folders whose content shall outlive a boot; until volumes are mounted each lives in RAM, and `check` warns. */
  readonly data: Readonly<Record<string, DataFolder>>;
  /** Secrets that the boot server hands to the node, by path on the node. */
  readonly secrets: Readonly<Record<string, SecretFile>>;
  /** Shell command, run on the node, that uses the service as a client would; exit 0 is ready. */
  readonly ready: string;
  /** Which changed paths mean which check and unit action on a running node; what is in none needs a reboot. */
  readonly reload: readonly ReloadRule[];
}

export interface RoleFileRule {
  /** Octal text such as `0640`. */
  readonly mode?: string;
  readonly owner?: string;
  readonly group?: string;
  /** Two roles may write this path; the parts follow each other in the listed order of roles. */
  readonly append?: boolean;
}

export interface RoleFile {
  /** Absolute path on the node, `.ejs` taken off. */
  readonly path: string;
  /** Absolute path of the source. */
  readonly source: string;
  readonly kind: 'file' | 'template' | 'symlink';
  /** Only for symlinks. */
  readonly target?: string;
}

/** What a running node does when files of these paths change. */
export interface ReloadRule {
  /** Globs of paths on the node: `*` stays in a folder, `**` does not. */
  readonly paths: readonly string[];
  /** Shell command that looks at the changed files before they are in force; one line. */
  readonly check?: string;
  /** Empty where nothing has to act. */
  readonly unit: string;
  /** `none`: whoever reads the files reads them anew each time. */
  readonly action: 'reload' | 'restart' | 'none';
}

/** A folder of data: a tmpfs of its own, or on a volume or a disk. */
export interface DataFolder {
  /** MiB of RAM that it may take, as a template. */
  readonly memory: string;
  /** The disk whose file system it is, as a template that gives a path below /dev or nothing. */
  readonly disk?: string;
  /**
   * Whether one node at a time may use it, also where a volume could be mounted by several. With `lock` the
   * role sees to that itself: it mounts the volume and waits for its turn.
   */
  readonly exclusive?: boolean | 'lock';
  /** Octal text; 0755 by default. */
  readonly mode?: string;
  /** Default root, as is the group, which else is the owner's. */
  readonly owner?: string;
  readonly group?: string;
}

/** A private key with its certificate in one PEM file, the same for every node that has it under this name. */
export interface SecretFile {
  /** Its name in the state folder. */
  readonly certificate: string;
  /** Host names that the certificate is for, separated by blanks, as a template. */
  readonly hosts: string;
  /** Octal text; 0600 by default. */
  readonly mode?: string;
  readonly owner?: string;
  readonly group?: string;
}
