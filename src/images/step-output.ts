import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { canonicalJson, type Digest, parseDigest } from '../digest.ts';
import type { Step, StepInputs } from './build-step.ts';
import { digestOfFile } from './package-cache.ts';

/** Beside a step's files: their digests, and what decided them. */
export const recordFile = 'output.json';

const shape = z.object({
  inputs: z.record(z.string(), z.unknown()),
  files: z.array(
    z.object({
      path: z.string(),
      size: z.number(),
      digest: z.string().transform((text) => parseDigest(text)),
    }),
  ),
});

interface OutputRecord {
  readonly inputs: StepInputs;
  readonly files: readonly {
    readonly path: string;
    readonly size: number;
    readonly digest: Digest | undefined;
  }[];
}

/** Folder of a finished step's output in the cache. */
export function outputOf(cache: string, step: Pick<Step, 'kind' | 'key'>): string {
  return join(cache, `${step.kind}-${step.key}`);
}

/** Writes down what a finished step has left in its folder. */
export async function recordOutput(folder: string, inputs: StepInputs): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files: { path: string; size: number; digest: Digest }[] = [];
  for (const entry of entries.filter((e) => e.isFile())) {
    const file = join(entry.parentPath, entry.name);
    const { size } = await stat(file);
    files.push({ path: file.slice(folder.length + 1), size, digest: await digestOfFile(file) });
  }
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  await writeFile(join(folder, recordFile), JSON.stringify({ inputs, files }));
}

/** Whether the step's output is in the cache, each file with the size that it had. */
export async function isKept(cache: string, step: Pick<Step, 'kind' | 'key'>): Promise<boolean> {
  return (await findDamage(cache, step, 'sizes')) === undefined;
}

/** What is wrong with the step's output, in words; undefined where it is whole. `bytes` reads all of it. */
export async function findDamage(
  cache: string,
  step: Pick<Step, 'kind' | 'key'>,
  depth: 'sizes' | 'bytes',
): Promise<string | undefined> {
  return damageIn(outputOf(cache, step), depth);
}

/** The same of a folder that `recordOutput` has written down. */
export async function damageIn(
  folder: string,
  depth: 'sizes' | 'bytes',
): Promise<string | undefined> {
  const record = await readRecord(folder);
  if (!record)
    return (await stat(folder).catch(() => undefined)) ? 'has no digests' : 'is not there';
  for (const { path, size, digest } of record.files) {
    const found = await stat(join(folder, path)).catch(() => undefined);
    if (!found) return `${path} is missing`;
    if (found.size !== size) return `${path} has ${found.size} bytes instead of ${size}`;
    if (depth === 'bytes' && (await digestOfFile(join(folder, path))) !== digest) {
      return `${path} holds other bytes`;
    }
  }
  return undefined;
}

/** Deletes the step's output. */
export async function forgetOutput(cache: string, step: Pick<Step, 'kind' | 'key'>): Promise<void> {
  await rm(outputOf(cache, step), { recursive: true, force: true });
}

/** What decided the newest output of that kind of step in the cache. */
export async function newestInputs(
  cache: string,
  { kind, key }: Pick<Step, 'kind' | 'key'>,
): Promise<StepInputs | undefined> {
  let newest: { readonly time: number; readonly inputs: StepInputs } | undefined;
  for (const name of await readdir(cache).catch(() => [])) {
    if (!name.startsWith(`${kind}-`) || name === `${kind}-${key}`) continue;
    const record = await readRecord(join(cache, name));
    const time = (await stat(join(cache, name))).mtimeMs;
    if (record && (!newest || newest.time < time)) newest = { time, inputs: record.inputs };
  }
  return newest?.inputs;
}

async function readRecord(folder: string): Promise<OutputRecord | undefined> {
  const text = await readFile(join(folder, recordFile), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return shape.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Which inputs differ from those before, in words. */
export function changedInputs(before: StepInputs | undefined, now: StepInputs): string {
  if (!before) return 'never made, or not kept';
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  const changed = names.filter(
    (name) => canonicalJson(before[name] ?? null) !== canonicalJson(now[name] ?? null),
  );
  return changed.map((name) => describeChange(name, before[name], now[name])).join('; ');
}

function describeChange(name: string, before: unknown, now: unknown): string {
  if (name === 'root' || name.startsWith('output of ')) return `the ${name} is another one`;
  if (typeof before === 'string' && typeof now === 'string' && parseDigest(now) === undefined) {
    return `${name}: ${before} → ${now}`;
  }
  if (!Array.isArray(before) || !Array.isArray(now)) return `${name} changed`;
  const [old, fresh] = [before, now].map((list) => list.map((item) => textOf(item)));
  const added = (fresh ?? []).filter((item) => !old?.includes(item)).map((item) => `+${item}`);
  const removed = (old ?? []).filter((item) => !fresh?.includes(item)).map((item) => `-${item}`);
  const all = [...added, ...removed];
  if (all.length === 0) return `${name}: in another order`;
  const more = all.length > 4 ? ` and ${all.length - 4} more` : '';
  return `${name}: ${all.slice(0, 4).join(' ')}${more}`;
}

/** A package without the digest that its version stands for. */
function textOf(item: unknown): string {
  if (typeof item !== 'string') return canonicalJson(item);
  return item.replace(/^(\S+) (\S+) \S+ [0-9a-f]{64}$/, '$1=$2');
}
