import { type OverlayFile, rootFile } from './overlay-file.ts';

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
 * `/etc/fstab` (fstab(5)) with a tmpfs for each folder; systemd mounts them before any service starts.
 * In fstab rather than in mount units, as those of paths with a dash have a backslash in their names.
 */
export function renderFstab(folders: readonly RamFolder[]): readonly OverlayFile[] {
  if (folders.length === 0) return [];
  const lines = folders.map(({ path, memory, mode, uid, gid }) => {
    const options = `mode=${mode},uid=${uid},gid=${gid},size=${memory}M,nosuid,nodev,noexec`;
    return `tmpfs ${path} tmpfs ${options} 0 0\n`;
  });
  return [rootFile('/etc/fstab', lines.join(''))];
}
