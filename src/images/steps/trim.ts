import { chmod, mkdir, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError } from '../../errors.ts';
import { runProgram } from '../../system/run-program.ts';
import { findKernelVersion } from '../kernel-version.ts';
import { indexModules } from '../module-index.ts';
import { resolveInRoot } from '../resolve-in-root.ts';

/**
 * Takes out of the root what the definition prunes, and all that names a place, a time or a machine: keys made by
 * packages' scripts, host names, logs, caches, what is enabled.
 * Refuses a root in which a private key is left: it would be the same one on every node. `kept` is a folder for the
 * lists of modules.
 */
export async function trimRoot(root: string, prune: Prune, kept: string): Promise<void> {
  const version = await findKernelVersion(root);
  const kernel = version ? [join('usr/lib/modules', version, 'kernel')] : [];
  const modules = kernel.flatMap((folder) => prune.modules.map((path) => join(folder, path)));
  const pruned = [...prune.paths, ...modules, ...ofOneMachine, ...(await keyFiles(root))];
  for (const path of pruned) {
    await rm(await resolveInRoot(root, path), { recursive: true, force: true });
  }
  // The kernel's devtmpfs is mounted there; which devices a build could make depends on who builds.
  const devices = await folderIn(root, 'dev');
  for (const name of await namesIn(devices)) {
    await rm(join(devices, name), { recursive: true, force: true });
  }
  for (const folder of emptied) await empty(await folderIn(root, folder));
  for (const [path, text] of Object.entries(fixedTexts)) await writeText(root, path, text);
  await disableUnits(root);
  if (version) await indexModules(root, version, kept);
  await refusePrivateKeys(root);
}

/** Paths below the root, and below the folder of the kernel's modules. */
interface Prune {
  readonly paths: readonly string[];
  readonly modules: readonly string[];
}

/** Where a folder of the root is on this machine: the place in the root that links lead to, as on a node. */
function folderIn(root: string, path: string): Promise<string> {
  return resolveInRoot(root, path, 'through');
}

/** The file is there with that text, whatever was in its place, and its folder is for everybody to read. */
async function writeText(root: string, path: string, text: string): Promise<void> {
  const folder = await folderIn(root, dirname(path));
  const file = join(folder, basename(path));
  await mkdir(folder, { recursive: true });
  // Not through a link, which from here would lead to a file of this machine.
  await rm(file, { force: true });
  await writeFile(file, text);
  // Whatever the umask of this build is.
  await chmod(folder, 0o755);
  await chmod(file, 0o644);
}

/** Host keys of sshd, and the links by which certificates that ssl-cert made are found. */
async function keyFiles(root: string): Promise<string[]> {
  const hostKeys = (await namesIn(await folderIn(root, 'etc/ssh')))
    .filter((name) => name.startsWith('ssh_host_'))
    .map((name) => join('etc/ssh', name));
  const links: string[] = [];
  const certificates = await folderIn(root, 'etc/ssl/certs');
  for (const name of await namesIn(certificates)) {
    // Its name is a hash over the build host's name.
    const target = await readlink(join(certificates, name)).catch(() => '');
    if (target.endsWith('ssl-cert-snakeoil.pem')) links.push(join('etc/ssl/certs', name));
  }
  return [...hostKeys, ...links];
}

async function refusePrivateKeys(root: string): Promise<void> {
  const folders = await Promise.all(['etc', 'var'].map((path) => folderIn(root, path)));
  const { stdout } = await runProgram(
    'grep',
    [
      ...['--recursive', '--files-with-matches', '--binary-files=text', '--devices=skip'],
      ...['-e', 'BEGIN [A-Z ]*PRIVATE KEY-----$', ...folders],
    ],
    { accept: [1] },
  );
  if (stdout === '') return;
  throw new AppError(
    'secret-in-root',
    `a private key is left in the root, every node would have it:\n  ${stdout
      .split('\n')
      .map((file) => file.slice(root.length))
      .join('\n  ')}`,
    'name the files under prune: paths: in the image definition, and give nodes theirs as secrets',
  );
}

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort();
}

const ofOneMachine = [
  'boot',
  'initrd.img',
  'initrd.img.old',
  'vmlinuz',
  'vmlinuz.old',
  'etc/.pwd.lock',
  'etc/group-',
  'etc/gshadow-',
  'etc/passwd-',
  'etc/shadow-',
  'etc/subgid-',
  'etc/subuid-',
  'etc/aliases.db',
  'etc/hostname',
  'etc/mailname',
  'etc/resolv.conf',
  'etc/apt/apt.conf.d/99mmdebstrap',
  // ssl-cert and dovecot make a key each when they are installed: the same one on every node.
  'etc/ssl/private/ssl-cert-snakeoil.key',
  'etc/ssl/certs/ssl-cert-snakeoil.pem',
  'etc/dovecot/private/dovecot.key',
  'etc/dovecot/private/dovecot.pem',
  // Whose partial/ in them are depends on whether apt's own user could reach the build's folder.
  'var/cache/apt',
  'var/lib/apt/lists',
  'var/lib/dbus/machine-id',
  'var/lib/systemd/random-seed',
  'var/lib/dpkg/status-old',
  'var/lib/dpkg/diversions-old',
  'var/lib/dpkg/statoverride-old',
];

const emptied = ['etc/apt/sources.list.d', 'run', 'tmp', 'var/cache', 'var/log', 'var/tmp'];

const fixedTexts: Readonly<Record<string, string>> = {
  // machine-id(5): every boot is a first boot until the overlay writes the node's own id.
  'etc/machine-id': 'uninitialized\n',
  'etc/hosts': '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n',
  'etc/apt/sources.list':
    '# Packages come with the image: rolecall build makes a new one for every node at once.\n',
  // As systemd-update-done.service(8) writes them. Without them every boot would rebuild the linker's
  // cache, the hardware database and the message catalogue, which the packages have made already.
  'etc/.updated': '',
  'var/.updated': '',
  // systemd.preset(5): the roles' overlays enable what a node runs, and nothing else is.
  'etc/systemd/system-preset/00-rolecall.preset': 'disable *\n',
  'etc/systemd/user-preset/00-rolecall.preset': 'disable *\n',
};

/** Deletes what a folder holds but keeps the folders: daemons want theirs in /var. */
async function empty(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (entry.isDirectory()) await empty(join(folder, entry.name));
    else await rm(join(folder, entry.name), { force: true });
  }
}

/** Takes away every link with which packages enabled units, System V scripts included. */
async function disableUnits(root: string): Promise<void> {
  for (const manager of ['system', 'user']) {
    const folder = await folderIn(root, join('etc/systemd', manager));
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      const enables = entry.isSymbolicLink() || /\.(wants|requires)$/.test(entry.name);
      if (enables) await rm(join(folder, entry.name), { recursive: true, force: true });
    }
  }
  for (const level of ['0', '1', '2', '3', '4', '5', '6', 'S']) {
    await empty(await folderIn(root, `etc/rc${level}.d`));
  }
}
