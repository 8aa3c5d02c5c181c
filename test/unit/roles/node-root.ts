import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A folder that stands for a node's root, for one test. */
export interface NodeRoot {
  readonly path: string;
  /** An executable file of the node, with what it says of the node's /etc, /run, /usr and /proc led into the folder. */
  put(path: string, text: string): void;
  /** The file of this machine in the node's place for it. */
  link(path: string, to: string): void;
}

export function createNodeRoot(): NodeRoot {
  const root = mkdtempSync(join(tmpdir(), 'rc-node-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true, maxRetries: 20 }));
  const place = (path: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    return join(root, path);
  };
  return {
    path: root,
    put(path, text) {
      // Absolute paths of the node, not those below others.
      const moved = text.replace(/(?<![\w.$}-])\/(etc|run|usr|proc)\//g, `${root}/$1/`);
      if (/(?<![\w.-])\/(proc|run|etc)\//.test(moved.replaceAll(root, ''.padEnd(9, 'x')))) {
        throw new Error(`${path} would touch this machine`);
      }
      writeFileSync(place(path), moved);
      chmodSync(join(root, path), 0o755);
    },
    link(path, to) {
      symlinkSync(to, place(path));
    },
  };
}
