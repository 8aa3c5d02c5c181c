import { type OverlayFile, rootFile, rootLink } from './overlay-file.ts';

const unitDir = '/etc/systemd/system';

/** A tmpfs for one folder. */
export interface RamFolder {
  readonly path: string;
  /** MiB. */
  readonly memory: number;
  /** Octal text. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
}

/** The unit that mounts a tmpfs on a folder before any service starts, so that it cannot fill the root. */
export function renderRamFolder(folder: RamFolder): readonly OverlayFile[] {
  const { path, memory, mode, uid, gid } = folder;
  const unit = `${escapePath(path)}.mount`;
  const text = `[Unit]
Description=${path} in RAM
Before=local-fs.target

[Mount]
What=tmpfs
Where=${path}
Type=tmpfs
Options=mode=${mode},uid=${uid},gid=${gid},size=${memory}M,nosuid,nodev,noexec
`;
  return [
    rootFile(`${unitDir}/${unit}`, text),
    rootLink(`${unitDir}/local-fs.target.requires/${unit}`, `${unitDir}/${unit}`),
  ];
}

/** A path as the name of its mount unit, as `systemd-escape --path` writes it. */
function escapePath(path: string): string {
  return path
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('-', '\\x2d').replace(/^\./, '\\x2e'))
    .join('-');
}
