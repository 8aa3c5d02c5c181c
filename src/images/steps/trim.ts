import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runContained } from '../../system/run-contained.ts';
import { findKernelVersion } from '../kernel-version.ts';
import type { Executor } from './executor.ts';

/**
 * Copies the root without what the definition prunes, and takes away all that names a place, a time
 * or a machine: keys made by packages' scripts, host names, logs, caches, what is enabled.
 */
export const trim: Executor<'trim'> = async (step, context) => {
  const root = join(context.output, 'root');
  // Through the door of a contained run: a copy must not outlive a killed build either.
  await runContained('cp', ['--archive', join(context.input('bootstrap'), 'root'), root]);
  const version = await findKernelVersion(root);
  const kernel = version ? [join('usr/lib/modules', version, 'kernel')] : [];
  const modules = kernel.flatMap((folder) => step.modules.map((path) => join(folder, path)));
  for (const path of [...step.paths, ...modules, ...ofOneMachine]) {
    await rm(join(root, path), { recursive: true, force: true });
  }
  for (const folder of emptied) await empty(join(root, folder));
  for (const [path, text] of Object.entries(fixedTexts)) {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), text);
  }
  await disableUnits(root);
  // The root has its own depmod: this machine may have none.
  if (version) await runContained('chroot', [root, 'depmod', version]);
};

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
  'var/lib/dbus/machine-id',
  'var/lib/systemd/random-seed',
  'var/lib/dpkg/status-old',
  'var/lib/dpkg/diversions-old',
  'var/lib/dpkg/statoverride-old',
];

const emptied = [
  'etc/apt/sources.list.d',
  'run',
  'tmp',
  'var/cache',
  'var/lib/apt/lists',
  'var/log',
  'var/tmp',
];

const fixedTexts: Readonly<Record<string, string>> = {
  // machine-id(5): every boot is a first boot until the overlay writes the node's own id.
  'etc/machine-id': 'uninitialized\n',
  'etc/hosts': '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n',
  'etc/apt/sources.list':
    '# Packages come with the image: rolecall build makes a new one for every node at once.\n',
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
    const folder = join(root, 'etc/systemd', manager);
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      const enables = entry.isSymbolicLink() || /\.(wants|requires)$/.test(entry.name);
      if (enables) await rm(join(folder, entry.name), { recursive: true, force: true });
    }
  }
  for (const level of ['0', '1', '2', '3', '4', '5', '6', 'S']) {
    await empty(join(root, `etc/rc${level}.d`));
  }
}
