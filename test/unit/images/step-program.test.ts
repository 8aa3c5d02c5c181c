import { existsSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { decideNothing, programFiles } from '../../../src/images/step-program.ts';
import { executors } from '../../../src/images/steps/executors.ts';
import { runProgram } from '../../../src/system/run-program.ts';

const src = resolve(import.meta.dirname, '../../../src');
const kinds = Object.keys(executors) as (keyof typeof executors)[];

/** What Node loads for each file of this program, asked of Node itself. */
async function loadedBy(...entries: string[]): Promise<Map<string, Set<string>>> {
  const script = `
    import { registerHooks } from 'node:module';
    registerHooks({
      resolve(name, context, next) {
        const found = next(name, context);
        if (context.parentURL) console.log(context.parentURL, found.url);
        return found;
      },
    });
    for (const entry of process.argv.slice(1)) await import(entry);
  `;
  const { stdout } = await runProgram(process.execPath, [
    ...['--input-type=module', '--eval', script],
    ...entries.map((entry) => pathToFileURL(join(src, entry)).href),
  ]);
  const loads = new Map<string, Set<string>>();
  for (const line of stdout.split('\n')) {
    const [from, to] = line
      .split(' ')
      .map((url) => (url.startsWith('file:') ? relative(src, fileURLToPath(url)) : '..'));
    if (from === undefined || to === undefined) continue;
    if (from.startsWith('..') || to.startsWith('..')) continue;
    loads.set(from, (loads.get(from) ?? new Set()).add(to));
  }
  return loads;
}

it('a key has all of the program that decides the output of its step', async () => {
  const loads = await loadedBy('images/steps/executors.ts', 'images/image-store.ts');
  for (const kind of kinds) {
    const files = await programFiles(kind);
    const missing = files
      .flatMap((file) => [...(loads.get(file) ?? [])])
      .filter((file) => !files.includes(file) && !(file in decideNothing));
    expect([...new Set(missing)].sort(), kind).toEqual([]);
  }
});

it('a key has what its step uses without importing it', async () => {
  for (const kind of kinds) {
    const text = readFileSync(join(src, 'images/steps', `${kind}.ts`), 'utf8');
    const files = await programFiles(kind);
    if (/context\.(newRoot|readRoot|takeRoot)/.test(text)) {
      expect(files, kind).toContain('images/root-trees.ts');
    }
    if (/context\.store|store.* = context/.test(text)) {
      expect(files, kind).toContain('images/image-store.ts');
    }
  }
});

it('what is left out of keys is there, and is loaded by a step', async () => {
  const loads = await loadedBy('images/steps/executors.ts');
  const loaded = new Set([...loads.values()].flatMap((files) => [...files]));
  for (const file of Object.keys(decideNothing)) {
    expect(existsSync(join(src, file)), file).toBe(true);
    expect(loaded, file).toContain(file);
  }
});
