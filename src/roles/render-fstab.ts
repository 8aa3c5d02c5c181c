import { type OverlayFile, rootFile, rootLink } from './overlay-file.ts';

/** A tmpfs for one folder. */
export interface RamFolder {
  /** Letters, digits and `/_.-` only, so that nothing needs the escapes of fstab(5). */
  readonly path: string;
  /** MiB. */
  readonly memory: number;
  /** Octal text. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * `/etc/fstab` (fstab(5)) with a tmpfs for each folder, which systemd mounts before any service starts, and
 * the node's other mounts.
 * In fstab rather than in mount units, as those of paths with a dash have a backslash in their names.
 */
export function renderFstab(
  folders: readonly RamFolder[],
  mounts: readonly string[],
): readonly OverlayFile[] {
  const lines = folders.map(({ path, memory, mode, uid, gid }) => {
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
