import { readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { type Digest, digestOfValue } from '../digest.ts';
import type { StepKind } from './build-step.ts';

const src = resolve(import.meta.dirname, '..');

/**
 * Files below src that decide no byte of any output, and why. Not so run-contained.ts, which decides umask,
 * environment and host name of nearly all that makes bytes.
 */
export const decideNothing: Readonly<Record<string, string>> = {
  'digest.ts': 'makes the keys themselves: where it gives others, all are others',
  'errors.ts': 'is what is said of a step that leaves no output',
  'images/package-cache.ts': 'gives files whose digests are those of the lock',
  'images/step-output.ts': 'compares files with digests',
  'system/durable-file.ts': 'writes what it is given',
  'system/read-output.ts': 'runs what it is given',
  'system/run-program.ts': 'runs what it is given; what changes in it are its messages',
};

/**
 * What a step uses that is handed to it, and not imported. Only for assemble is it more than decides its output: any
 * change of the store has it done again, which takes a second.
 */
const handed: Readonly<Partial<Record<StepKind, string>>> = {
  assemble: 'images/image-store.ts',
  facts: 'images/root-trees.ts',
  initramfs: 'images/root-trees.ts',
  kernel: 'images/root-trees.ts',
};

/**
 * The files below src that decide a step's output: its own, and all that they import as values. For some a file is
 * among them needlessly, such as apply-layer.ts by root-trees.ts for bootstrap: that costs a build more after a rare
 * change, and a file too few would leave images without it for good.
 */
export async function programFiles(kind: StepKind): Promise<string[]> {
  const files = new Set<string>();
  const visit = async (file: string): Promise<void> => {
    if (files.has(file) || file in decideNothing) return;
    files.add(file);
    for (const name of valueImports(await readFile(join(src, file), 'utf8'))) {
      await visit(relative(src, resolve(src, dirname(file), name)));
    }
  };
  await visit(`images/steps/${kind}.ts`);
  if (handed[kind] !== undefined) await visit(handed[kind]);
  return [...files].sort();
}

/** Digest of the program text that decides a step's output. */
export async function digestOfProgram(kind: StepKind): Promise<Digest> {
  const files = await programFiles(kind);
  return digestOfValue(await Promise.all(files.map((file) => readFile(join(src, file), 'utf8'))));
}

/** The files that a TypeScript file of this program loads: types are gone when it runs. */
function valueImports(text: string): string[] {
  const found = text.matchAll(/^(?:import|export)(?! type\b)[^;']*'(\.[^']*)';/gm);
  return [...found].map(([, name = '']) => name);
}
