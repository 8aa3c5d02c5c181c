/** Bytes that a package has in a root, unpacked. */
export interface PackageSize {
  readonly package: string;
  /** Of its files that are in the root. */
  readonly bytes: number;
  /** What it would take with all its files less that, about: the build left some out. */
  readonly pruned: number;
}

export interface FolderSize {
  readonly folder: string;
  readonly bytes: number;
}

/** What makes a root big; each list starts with the biggest. */
export interface ImageSizes {
  readonly bytes: number;
  readonly packages: readonly PackageSize[];
  readonly folders: readonly FolderSize[];
  /** Files that no package brought: made when packages were installed, or by the build. */
  readonly unowned: number;
}

/** A name in a root. */
export interface ListedFile {
  /** With a leading slash. */
  readonly path: string;
  /** The first letter of ls(1)'s long format. */
  readonly type: string;
  /** Of a file; 0 of anything else. */
  readonly bytes: number;
}

/** The lines of `unsquashfs -lln`; a whiteout (overlayfs) has the type `w`. */
export function parseSquashfsListing(text: string): ListedFile[] {
  return text.split('\n').flatMap((line) => {
    const match = listedLine.exec(line);
    if (!match) return [];
    const [, type = '', size = '', rest = ''] = match;
    const path = type === 'l' ? (rest.split(' -> ')[0] ?? '') : rest;
    const isWhiteout = type === 'c' && /^0, *0$/.test(size);
    return [{ path, type: isWhiteout ? 'w' : type, bytes: type === '-' ? Number(size) : 0 }];
  });
}

const listedLine =
  /^([-dlcbps])\S{9} \d+\/\d+ +(\d+(?:, *\d+)?) \d{4}-\d\d-\d\d \d\d:\d\d squashfs-root(\/.*)$/;

/** What is seen where the layers are stacked, the lowest of them first. */
export function stackListings(layers: readonly (readonly ListedFile[])[]): ListedFile[] {
  const seen = new Map<string, ListedFile>();
  for (const layer of layers) {
    const hides = new Set(layer.filter(({ type }) => type !== 'd').map(({ path }) => path));
    for (const path of [...seen.keys()]) {
      if (parentsOf(path).some((parent) => hides.has(parent))) seen.delete(path);
    }
    for (const file of layer) {
      if (file.type === 'w') seen.delete(file.path);
      else seen.set(file.path, file);
    }
  }
  return [...seen.values()];
}

/** A package as dpkg knows it. */
export interface InstalledPackage {
  readonly name: string;
  /** Bytes, `Installed-Size` of its control file. */
  readonly installed: number;
  /** What it brought, each with a leading slash. */
  readonly paths: readonly string[];
}

/** What makes a root big, by its files and the packages that brought them. */
export function measureImage(
  files: readonly ListedFile[],
  packages: readonly InstalledPackage[],
): ImageSizes {
  const sizes = new Map(files.map(({ path, bytes }) => [path, bytes]));
  const owned = new Set<string>();
  const rows = packages.map(({ name, installed, paths }): PackageSize => {
    let bytes = 0;
    let isWhole = true;
    for (const path of paths.map(inMergedUsr)) {
      const size = sizes.get(path);
      if (size === undefined) isWhole = false;
      else if (!owned.has(path)) bytes += size;
      if (size !== undefined) owned.add(path);
    }
    return { package: name, bytes, pruned: isWhole ? 0 : Math.max(0, installed - bytes) };
  });
  const sum = (of: readonly ListedFile[]) => of.reduce((all, { bytes }) => all + bytes, 0);
  return {
    bytes: sum(files),
    packages: rows.sort((a, b) => b.bytes - a.bytes || (a.package < b.package ? -1 : 1)),
    folders: measureFolders(files),
    unowned: sum(files.filter(({ path }) => !owned.has(path))),
  };
}

/** Each folder with all below it, but none of which nearly all is in one folder below: that one says more. */
function measureFolders(files: readonly ListedFile[]): FolderSize[] {
  const sizes = new Map<string, number>();
  for (const { path, bytes } of files) {
    if (bytes === 0) continue;
    for (const parent of parentsOf(path)) sizes.set(parent, (sizes.get(parent) ?? 0) + bytes);
  }
  const largestBelow = new Map<string, number>();
  for (const [folder, bytes] of sizes) {
    const parent = parentsOf(folder).at(-1) ?? '';
    largestBelow.set(parent, Math.max(largestBelow.get(parent) ?? 0, bytes));
  }
  return [...sizes]
    .filter(([folder, bytes]) => (largestBelow.get(folder) ?? 0) < bytes * 0.9)
    .map(([folder, bytes]) => ({ folder, bytes }))
    .sort((a, b) => b.bytes - a.bytes || (a.folder < b.folder ? -1 : 1));
}

/** `/usr` and `/usr/lib` of `/usr/lib/x`. */
function parentsOf(path: string): string[] {
  const parts = path.split('/').slice(1, -1);
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join('/')}`);
}

/** Where a package's file is since /bin, /sbin and /lib are links (Debian policy 10.1). */
function inMergedUsr(path: string): string {
  return path.replace(/^\/(bin|sbin|lib|lib32|lib64|libx32)\//, '/usr/$1/');
}
