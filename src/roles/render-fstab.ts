import { type OverlayFile, rootFile, rootLink } from './overlay-file.ts';

/** A file system of the node's own for one folder. */
export interface LocalFolder {
  /** Letters, digits and `/_.-` only, so that nothing needs the escapes of fstab(5). */
  readonly path: string;
  /** MiB. */
  readonly memory: number;
  /** The disk that holds it instead of RAM. */
  readonly disk: string | undefined;
  /** Octal text. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * `/etc/fstab` (fstab(5)) with a tmpfs for each folder, which systemd mounts before any service starts, or
 * the disk that holds it, which holds up nothing but what needs it, and the node's other mounts.
 * In fstab rather than in mount units, as those of paths with a dash have a backslash in their names.
 */
export function renderFstab(
  folders: readonly LocalFolder[],
  mounts: readonly string[],
): readonly OverlayFile[] {
  const lines = folders.map(({ path, memory, disk, mode, uid, gid }) => {
    if (disk !== undefined) {
      return `${disk} ${path} ext4 noatime,nosuid,nodev,noexec,nofail,x-systemd.device-timeout=10 0 2\n`;
    }
    const options = `mode=${mode},uid=${uid},gid=${gid},size=${memory}M,nosuid,nodev,noexec`;
    return `tmpfs ${path} tmpfs ${options} 0 0\n`;
  });
  lines.push(...mounts.map((mount) => `${mount}\n`));
  if (lines.length === 0) return [];
  const fstab = rootFile('/etc/fstab', lines.join(''));
  if (mounts.length === 0) return [fstab];
  // Mounts with _netdev begin by this target (systemd.special(7)), which the image enables no more than any unit.
  const target = 'remote-fs.target';
  return [
    fstab,
    rootLink(
      `/etc/systemd/system/multi-user.target.wants/${target}`,
      `/usr/lib/systemd/system/${target}`,
    ),
  ];
}
