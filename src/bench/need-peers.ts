import { globSync } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { AppError } from '../errors.ts';

/** Debian package by program of a peer. */
const packageOf = {
  'kea-dhcp4': 'kea-dhcp4-server',
  perfdhcp: 'kea-admin',
  postgres: 'postgresql',
  dnsmasq: 'dnsmasq-base',
  'in.tftpd': 'tftpd-hpa',
  nginx: 'nginx-light',
  curl: 'curl',
  ip: 'iproute2',
  nft: 'nftables',
  perl: 'perl-base',
  taskset: 'util-linux',
  mmdebstrap: 'mmdebstrap',
  mksquashfs: 'squashfs-tools',
  unsquashfs: 'squashfs-tools',
  'mkfs.ext4': 'e2fsprogs',
} as const;

export type PeerProgram = keyof typeof packageOf;

/** Debian keeps daemons where a user's PATH does not look, of PostgreSQL those of each release in a folder. */
const daemonFolders = ['/usr/sbin', '/sbin', '/usr/local/sbin'];
const postgresFolders = '/usr/lib/postgresql/*/bin';

/**
 * Where each program is. Fails with one AppError that names every package which is missing:
 * a comparison without its peer is no result.
 */
export async function needPeers<P extends PeerProgram>(
  ...programs: readonly P[]
): Promise<Readonly<Record<P, string>>> {
  const found = new Map<P, string>();
  for (const program of programs) {
    const path = await whereIs(program);
    if (path) found.set(program, path);
  }
  const missing = programs.filter((program) => !found.has(program));
  if (missing.length > 0) {
    throw new AppError(
      'peer-not-installed',
      `to compare with, ${missing.join(', ')} must be installed`,
      `apt-get install --no-install-recommends ${missing.map((p) => packageOf[p]).join(' ')}`,
    );
  }
  return Object.fromEntries(found) as Record<P, string>;
}

async function whereIs(program: string): Promise<string | undefined> {
  const folders = [
    // Debian's own first: beside a wrapper of that name elsewhere its tools may be missing.
    ...globSync(postgresFolders).sort().toReversed(),
    ...(process.env.PATH ?? '').split(delimiter),
    ...daemonFolders,
  ];
  for (const folder of folders) {
    const path = join(folder, program);
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (folder !== '' && isThere) return path;
  }
  return undefined;
}
