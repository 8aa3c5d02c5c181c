import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestOfValue } from '../digest.ts';
import { runProgram } from '../system/run-program.ts';
import type { StepKind } from './build-step.ts';
import { digestOfBrought } from './copied-files.ts';
import { chainOf, type ImageDefinition } from './image-definition.ts';
import type { BuildFacts } from './plan-build.ts';
import type { ImageLock } from './resolve-locks.ts';
import { digestOfProgram } from './step-program.ts';
import { executors } from './steps/executors.ts';

/** All that decides the steps of a build besides the definition: locks, files, tools, this program's own text. */
export async function gatherFacts(
  definition: ImageDefinition,
  locks: readonly ImageLock[],
): Promise<BuildFacts> {
  const guestDir = join(import.meta.dirname, '../guest');
  const [mmdebstrap, mksquashfs] = await Promise.all([
    versionOf('mmdebstrap', '--version'),
    versionOf('mksquashfs', '-version'),
  ]);
  const lock = locks.at(-1)?.lock;
  if (!lock) throw new Error('an image without a lock');
  return {
    lock,
    groups: locks.slice(0, -1).map((one) => one.lock.groups.length),
    brought: await Promise.all(chainOf(definition).map(digestOfBrought)),
    tools: { mmdebstrap, mksquashfs },
    guestDir,
    guest: await digestOfTree(guestDir),
    program: await digestsOfProgram(),
  };
}

async function versionOf(program: string, flag: string): Promise<string> {
  const { stdout, stderr } = await runProgram(program, [flag], { accept: [1] });
  return (stdout || stderr).split('\n')[0] ?? '';
}

async function digestsOfProgram(): Promise<Record<StepKind, Digest>> {
  const kinds = Object.keys(executors) as StepKind[];
  const digests = kinds.map(async (kind) => [kind, await digestOfProgram(kind)] as const);
  return Object.fromEntries(await Promise.all(digests)) as Record<StepKind, Digest>;
}

/** Digest of the paths, modes and bytes of the files below a folder. */
async function digestOfTree(folder: string): Promise<Digest> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name));
  const rows: string[][] = [];
  for (const file of files.sort()) {
    const bytes = await readFile(file);
    rows.push([file.slice(folder.length), createHash('sha256').update(bytes).digest('hex')]);
  }
  return digestOfValue(rows);
}
