import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { runProgram } from '../system/run-program.ts';
import { parseModinfo } from './modinfo.ts';

/** A kernel module's file: `.ko`, `.ko.gz` or `.ko.xz`. */
export interface ModuleFile {
  /** Relative to the folder of the kernel's modules. */
  readonly path: string;
  readonly data: Uint8Array;
}

/** Names of all firmware files that the modules may ask for, sorted; relative to `/usr/lib/firmware`. */
export async function listModuleFirmware(
  modules: readonly ModuleFile[],
): Promise<readonly string[]> {
  const xz = modules.filter(({ path }) => path.endsWith('.xz'));
  const rest = modules.filter(({ path }) => !path.endsWith('.xz'));
  const plain = [...(await Promise.all(rest.map(expand))), ...(await expandXz(xz))];
  return [...new Set(plain.flatMap((module) => parseModinfo(module, 'firmware')))].sort();
}

async function expand({ path, data }: ModuleFile): Promise<Uint8Array> {
  return path.endsWith('.gz') ? promisify(gunzip)(data) : data;
}

/** Node has no xz: the program expands all of them in one run. */
async function expandXz(modules: readonly ModuleFile[]): Promise<readonly Uint8Array[]> {
  if (modules.length === 0) return [];
  const folder = await mkdtemp(join(tmpdir(), 'rolecall-modules-'));
  try {
    const files = modules.map((_, index) => join(folder, `${index}`));
    for (const [index, { data }] of modules.entries()) {
      await writeFile(`${files[index]}.xz`, data);
    }
    await runProgram('xz', ['--decompress', '--threads=0', ...files.map((file) => `${file}.xz`)]);
    return await Promise.all(files.map((file) => readFile(file)));
  } finally {
    await rm(folder, { recursive: true });
  }
}
