import { randomBytes } from 'node:crypto';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Blob } from '../boot/image-manifest.ts';
import { nodeArchitecture } from '../boot/node-architecture.ts';
import { openImageStore } from '../images/image-store.ts';
import { ipv4FromNumber } from '../net/ipv4.ts';
import { loadersOf } from '../pxe/loader-by-client.ts';
import type { ImageFacts } from '../roles/image-facts.ts';
import { loadRoles } from '../roles/load-roles.ts';

/** Addresses of the network in which benchmarks run. */
export const benchNetwork = {
  server: '10.77.0.1',
  prefix: 16,
  /** Whom the clients of every benchmark speak from. */
  client: '10.77.0.2',
} as const;

/** A site needs an admin; nobody has the other half. */
export const nobodysKey =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJDqR3W2M8BGYYGlFiRkaqiJ2vJ9QmL0CE9OF5yH13/3 nobody@bench.example';

/** A site and a state folder for a boot server that is measured. */
export interface BenchSite {
  readonly siteDir: string;
  readonly stateDir: string;
  /** Digest of the root, `/images/<digest>`, and where it lies on disk. */
  readonly root: Blob & { readonly path: string };
  /** Where one of the loaders lies on disk, 1 MiB as each. */
  readonly loader: string;
}

export interface BenchSiteOptions {
  /** Machines with a role file; machines beside them take an address of the pool. */
  readonly nodes: number;
  readonly rootBytes: number;
}

const mebibyte = 1024 * 1024;
const loaderBytes = mebibyte;

/** MAC address of the machine with that number, the first `nodes` of which have a role file. */
export function benchMac(number: number): string {
  const bytes = [0x52, 0x54, 0x00, number >> 16, number >> 8, number].map((b) => b & 0xff);
  return bytes.map((b) => b.toString(16).padStart(2, '0')).join(':');
}

/**
 * Writes a site with its role files, and an image of random bytes: sizes are those of a real one, and
 * no file system or network can make them smaller.
 */
export async function writeBenchSite(
  folder: string,
  { nodes, rootBytes }: BenchSiteOptions,
): Promise<BenchSite> {
  const siteDir = join(folder, 'site');
  const stateDir = join(folder, 'state');
  await mkdir(join(siteDir, 'nodes'), { recursive: true });
  await writeFile(
    join(siteDir, 'site.yaml'),
    [
      'site: bench',
      'domain: bench.example',
      'admins:',
      `  - ${nobodysKey}`,
      'networks:',
      '  boot:',
      '    subnet: 10.77.0.0/16',
      `    server: ${benchNetwork.server}`,
      `    gateway: ${benchNetwork.server}`,
      '    dhcp: server',
      '    pool: 10.77.64.1-10.77.127.254',
      'unknown: spare',
      '',
    ].join('\n'),
  );
  const firstNode = 0x0a4d1001;
  for (let number = 0; number < nodes; number += 1) {
    await writeFile(
      join(siteDir, `nodes/n${number}.yaml`),
      `mac: ${benchMac(number)}\naddress: ${ipv4FromNumber(firstNode + number)}\nrole: spare\n`,
    );
  }

  const store = openImageStore(stateDir);
  const add = async (bytes: number) => {
    const file = join(folder, 'part');
    await writeRandom(file, bytes);
    return store.addBlob(file);
  };
  const root = await add(rootBytes);
  const loaders: Record<string, Blob> = {};
  for (const name of loadersOf({ secureBoot: false })) loaders[name] = await add(loaderBytes);
  const { digest } = await store.addImage({
    ...(await factsForEveryRole(siteDir)),
    ...{ format: 2, name: 'universal', architecture: nodeArchitecture, suite: 'trixie' },
    ...{ kernelVersion: '6.12.0', loaders, root: [root] },
    ...{ kernel: await add(12 * mebibyte), initramfs: await add(10 * mebibyte) },
  });
  await store.tag(digest, 'published');
  const loader = store.blobPath(Object.values(loaders)[0]?.digest ?? root.digest);
  return { siteDir, stateDir, root: { ...root, path: store.blobPath(root.digest) }, loader };
}

async function writeRandom(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'w');
  for (let left = bytes; left > 0; left -= mebibyte) {
    await file.write(randomBytes(Math.min(left, mebibyte)));
  }
  await file.close();
}

/** An image in which every shipped role finds its packages, units and users. */
async function factsForEveryRole(siteDir: string): Promise<ImageFacts> {
  const loaded = await loadRoles(siteDir);
  if (!loaded.ok)
    throw new Error(`the shipped roles cannot be read: ${loaded.problems[0]?.message}`);
  const roles = [...loaded.value.values()];
  const rules = roles.flatMap((role) => [
    ...Object.values(role.files),
    ...Object.values(role.data),
  ]);
  const owners = rules.flatMap((rule) => [rule.owner ?? [], rule.group ?? []]).flat();
  const names = [...new Set(['root', ...owners])];
  const install = {
    alias: [],
    wantedBy: ['multi-user.target'],
    requiredBy: [],
    also: [],
  };
  return {
    packages: Object.fromEntries(roles.flatMap((r) => r.packages).map((p) => [p, '1'])),
    // An instance such as getty@tty1.service is installed as its template.
    units: Object.fromEntries(
      roles.flatMap((r) => r.units).map((u) => [u.replace(/@[^.]*\./, '@.'), install]),
    ),
    users: Object.fromEntries(names.map((name, id) => [name, { uid: id, gid: id }])),
    groups: Object.fromEntries(names.map((name, id) => [name, id])),
  };
}
