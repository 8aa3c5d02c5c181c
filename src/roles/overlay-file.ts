/** One entry of an overlay or of a node's secrets, ready to be packed. */
export type OverlayFile = RegularFile | SymbolicLink;

export interface RegularFile {
  /** Absolute path on the node. */
  readonly path: string;
  readonly kind: 'file';
  /** Permission bits, such as 0o644. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly content: string | Uint8Array;
}

export interface SymbolicLink {
  /** Absolute path on the node. */
  readonly path: string;
  readonly kind: 'symlink';
  /** 0o777: Linux ignores the mode of a symbolic link. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly target: string;
}

/** A file of root with mode 0644, as most of an overlay is. */
export function rootFile(path: string, content: string, mode = 0o644): RegularFile {
  return { path, kind: 'file', mode, uid: 0, gid: 0, content };
}

/** A symbolic link of root. */
export function rootLink(path: string, target: string): SymbolicLink {
  return { path, kind: 'symlink', mode: 0o777, uid: 0, gid: 0, target };
}
