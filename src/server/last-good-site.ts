import { randomBytes } from 'node:crypto';
import {
  chmod,
  copyFile,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { canonicalJson, digestOf } from '../digest.ts';
import type { Fleet } from '../roles/fleet.ts';
import { loadFleet } from '../roles/load-fleet.ts';
import { syncFolder } from '../system/durable-file.ts';

/**
 * A copy of the site as it was last served. After a power cut with a half-finished edit on disk the
 * machines must boot all the same.
 */
export interface LastGoodSite {
  /** Keeps the site in `siteDir` where it still is what `served` was read from; on disk when it resolves. */
  keep(siteDir: string, served: Fleet): Promise<void>;
  /** What was kept; undefined where nothing was, or where this version cannot read it any more. */
  load(): Promise<Fleet | undefined>;
}

/** Copies lie in `<stateDir>/last-good-site/`; the link `served` names the one that counts. */
export function openLastGoodSite(stateDir: string): LastGoodSite {
  const root = join(stateDir, 'last-good-site');
  const served = join(root, 'served');

  async function load(): Promise<Fleet | undefined> {
    const kept = await loadFleet(served);
    return kept.ok ? kept.value : undefined;
  }

  return {
    load,
    async keep(siteDir, fleet) {
      const known = await load();
      if (known && isSameSite(known, fleet)) return;
      await mkdir(root, { recursive: true, mode: 0o700 });
      const copy = join(root, randomBytes(8).toString('hex'));
      try {
        // A repository's history is no part of the site.
        await copyFolder(siteDir, copy, new Set(['.git']));
        const read = await loadFleet(copy);
        // Edited again meanwhile: that reading will be kept when it is served.
        if (!read.ok || !isSameSite(read.value, fleet)) return;
        await syncTree(copy);
        const link = `${copy}.link`;
        await symlink(basename(copy), link);
        await rename(link, served);
        await syncFolder(root);
      } finally {
        await removeOthers(root, served);
      }
    },
  };
}

/** The same words in the same files, wherever the folder is. */
function isSameSite(a: Fleet, b: Fleet): boolean {
  return describeSite(a) === describeSite(b);
}

function describeSite({ site, roles, siteTexts, sources }: Fleet): string {
  const words = [...roles.values()].map(({ dir, tree, ...role }) => ({
    ...role,
    tree: tree.map((file) => ({ ...file, source: relative(dir, file.source) })),
  }));
  return canonicalJson({
    ...{ site, siteTexts, roles: words },
    sources: [...sources.values()].map(digestOf),
  });
}

// fs.cp gives a folder its mode with the set-group-ID bit, which is there for whoever edits the site, and
// which systemd refuses to a service with RestrictSUIDSGID=.
async function copyFolder(from: string, to: string, without = new Set<string>()): Promise<void> {
  await mkdir(to);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (without.has(entry.name)) continue;
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await copyFolder(source, target);
    else if (entry.isSymbolicLink()) await symlink(await readlink(source), target);
    else if (entry.isFile()) {
      await copyFile(source, target);
      await chmod(target, ((await stat(source)).mode & 0o777) | 0o600);
    }
  }
}

async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile()) {
      const file = await open(path, 'r');
      try {
        await file.sync();
      } finally {
        await file.close();
      }
    }
  }
  await syncFolder(folder);
}

async function removeOthers(root: string, served: string): Promise<void> {
  const current = await readlink(served).catch(() => '');
  for (const name of await readdir(root)) {
    if (name === basename(served) || name === current) continue;
    await rm(join(root, name), { recursive: true, force: true });
  }
}
