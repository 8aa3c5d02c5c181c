import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import type { Digest } from '../digest.ts';
import { AppError } from '../errors.ts';
import { openImageStore } from '../images/image-store.ts';
import { runProgram } from '../system/run-program.ts';
import { requireSocketPath } from '../system/socket-path.ts';
import type { VmSpec } from './vm-spec.ts';

/** Where a lab keeps everything; all absolute. */
export interface LabFolder {
  readonly root: string;
  /** The working copy of the site, free to edit. */
  readonly site: string;
  /** The state folder of the lab's own boot server. */
  readonly state: string;
  /**
   * A state folder in which the lab builds and publishes its images, so that what a boot server on this
   * machine has published stays as it is.
   */
  readonly builds: string;
  /** Private key that opens every node; its public half is among the copy's admins. */
  readonly key: string;
  /** The boot server's output. */
  readonly serverLog: string;
  /** A guest's folder: console log, sockets. */
  guest(name: string): string;
}

/** The paths of a lab in the folder `root`. */
export function labFolder(root: string): LabFolder {
  return {
    root,
    site: join(root, 'site'),
    state: join(root, 'state'),
    builds: join(root, 'builds'),
    key: join(root, 'admin_key'),
    serverLog: join(root, 'serve.log'),
    guest: (name) => join(root, 'guests', name),
  };
}

/** Refuses a folder that lies too deep for the sockets of a lab with these guests. */
export function requireSocketPaths(folder: LabFolder, guests: readonly VmSpec[]): void {
  requireSocketPath(join(folder.root, 'control.sock'));
  requireSocketPath(join(folder.state, 'admin.sock'));
  for (const { name } of guests) requireSocketPath(join(folder.guest(name), 'console.sock'));
}

/** What became of the working copy: made anew, or kept because somebody has edited it. */
export type SiteCopy = 'copied' | 'kept';

/**
 * Makes the working copy of `source` with a new key pair's public half among its admins.
 * A copy that was edited since it was made is kept, unless `fresh`.
 */
export async function prepareLabSite(
  folder: LabFolder,
  source: string,
  fresh: boolean,
): Promise<SiteCopy> {
  if (!existsSync(join(source, 'site.yaml'))) {
    throw new AppError('invalid-site', `${source} has no site.yaml`, 'name a site: --site DIR');
  }
  const mark = join(folder.root, 'site.digest');
  const made = await readFile(mark, 'utf8').catch(() => '');
  if (!fresh && existsSync(folder.site) && made !== (await treeDigest(folder.site))) return 'kept';
  await mkdir(folder.root, { recursive: true, mode: 0o700 });
  // A half-made copy would look like one that somebody has edited.
  const aside = `${folder.site}.new`;
  await rm(aside, { recursive: true, force: true });
  await cp(source, aside, {
    recursive: true,
    filter: (path) => !path.endsWith('/.git'),
  });
  await addAdmin(join(aside, 'site.yaml'), await adminKey(folder.key));
  await rm(folder.site, { recursive: true, force: true });
  await writeFile(mark, await treeDigest(aside));
  await rename(aside, folder.site);
  return 'copied';
}

/**
 * An empty state folder for the lab's own boot server, which boots the images that were built
 * in the state folder `builds`: what the last lab's machines did is of no use to this one.
 */
export async function prepareLabState(folder: LabFolder, builds: string): Promise<void> {
  await rm(folder.state, { recursive: true, force: true });
  await mkdir(folder.state, { recursive: true, mode: 0o700 });
  await symlink(join(builds, 'images'), join(folder.state, 'images'));
}

/**
 * The same for images of the store in the state folder `stored` that need not be published there: the lab's
 * server finds these published, and no other.
 */
export async function prepareLabStateOf(
  folder: LabFolder,
  stored: string,
  published: readonly Digest[],
): Promise<void> {
  await rm(folder.state, { recursive: true, force: true });
  await mkdir(join(folder.state, 'images'), { recursive: true, mode: 0o700 });
  for (const part of ['blobs', 'manifests']) {
    await symlink(join(stored, 'images', part), join(folder.state, 'images', part));
  }
  const store = openImageStore(folder.state);
  for (const digest of published) await store.tag(digest, 'published');
}

/** Makes the key pair where there is none; gives back the public half as a line of authorized_keys. */
async function adminKey(path: string): Promise<string> {
  if (!existsSync(path)) {
    await runProgram('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'lab', '-f', path]);
  }
  return (await readFile(`${path}.pub`, 'utf8')).trim();
}

async function addAdmin(siteFile: string, publicKey: string): Promise<void> {
  const document = parseDocument(await readFile(siteFile, 'utf8'));
  if (document.has('admins')) document.addIn(['admins'], publicKey);
  else document.set('admins', [publicKey]);
  await writeFile(siteFile, document.toString({ lineWidth: 0 }));
}

/** A digest over the names and contents of all files under a folder. */
async function treeDigest(root: string): Promise<string> {
  const hash = createHash('sha256');
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name));
  for (const file of files.sort()) {
    hash
      .update(`${file.slice(root.length)}\0`)
      .update(await readFile(file))
      .update('\0');
  }
  return hash.digest('hex');
}
