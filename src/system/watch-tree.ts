import { type FSWatcher, lstatSync, readdirSync, watch } from 'node:fs';
import { join, sep } from 'node:path';

/**
 * Calls `changed` when something in the folder or below it may have changed; gives back what ends that. Folders
 * that cannot be watched are left out without a word, so callers look by the clock as well.
 *
 * Node's recursive watch throws where nobody can catch it when a new folder may not be read, a link leads to
 * itself or inotify has no watch left: that would end the server.
 */
export function watchTree(dir: string, changed: () => void): () => void {
  const watchers = new Map<string, { readonly watcher: FSWatcher; readonly inode: number }>();

  function drop(folder: string): void {
    for (const [path, { watcher }] of watchers) {
      if (path !== folder && !path.startsWith(folder + sep)) continue;
      watcher.close();
      watchers.delete(path);
    }
  }

  /** Watches what is a folder at this path now, another one than before included. */
  function follow(path: string): void {
    const found = lstatSync(path, { throwIfNoEntry: false });
    const known = watchers.get(path);
    if (known && known.inode !== found?.ino) drop(path);
    if (!found?.isDirectory() || watchers.has(path)) return;
    const watcher = watch(path, { persistent: false }, (kind, name) => {
      if (kind === 'rename' && name !== null) attempt(() => follow(join(path, name)));
      changed();
    });
    watcher.on('error', () => drop(path));
    watchers.set(path, { watcher, inode: found.ino });
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.isDirectory()) attempt(() => follow(join(path, entry.name)));
    }
  }

  attempt(() => follow(dir));
  return () => drop(dir);
}

function attempt(work: () => void): void {
  try {
    work();
  } catch {
    // The clock finds what the kernel does not report.
  }
}
