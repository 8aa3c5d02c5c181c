import { mkdirSync } from 'node:fs';
import { fingerprintFolder } from '../site/folder-fingerprint.ts';
import { watchTree } from '../system/watch-tree.ts';

/** Milliseconds between looks where the kernel reports nothing. */
const pollInterval = 5000;

/**
 * Calls when something in the folder has changed; gives back what ends that. A folder that is not there is
 * made, or, where this user may not write to the store, noticed by the clock when somebody else makes it.
 */
export function watchFolder(folder: string, listener: () => void): () => void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch {
    // The server's user only reads what root builds.
  }
  const unwatch = watchTree(folder, listener);
  let known = fingerprintFolder(folder);
  const look = async () => {
    const [before, now] = await Promise.all([known, fingerprintFolder(folder)]);
    known = Promise.resolve(now);
    if (now !== before) listener();
  };
  const timer = setInterval(() => void look(), pollInterval).unref();
  return () => {
    clearInterval(timer);
    unwatch();
  };
}
