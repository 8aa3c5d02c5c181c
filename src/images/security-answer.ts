import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { type Digest, digestOfValue } from '../digest.ts';
import { writeDurably } from '../system/durable-file.ts';
import { allPackages, type PackageLock } from './package-lock.ts';
import type { SecurityUpdate } from './security-updates.ts';

/** Milliseconds for which an answer of the security archive is not asked for again: updates come some times a day. */
const holds = 6 * 3_600_000;

const shape = z.object({
  question: z.string(),
  at: z.number(),
  updates: z.array(z.object({ package: z.string(), from: z.string(), to: z.string() })),
});

/** What was asked: every version of the lock, and which mirror where one was named. */
export function securityQuestion(lock: PackageLock, mirror: string | undefined): Digest {
  const versions = allPackages(lock).map((of) => `${of.name} ${of.architecture} ${of.version}`);
  return digestOfValue([lock.suite, mirror ?? null, versions]);
}

/** The updates that the file has for the question; undefined where it has none, or none of the last six hours. */
export async function readSecurityAnswer(
  file: string,
  question: Digest,
  now: number,
): Promise<readonly SecurityUpdate[] | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const parsed = shape.safeParse(parseJson(text));
  if (!parsed.success || parsed.data.question !== question) return undefined;
  const age = now - parsed.data.at;
  // A clock that was put back must not make an answer hold for years.
  return age >= 0 && age < holds ? parsed.data.updates : undefined;
}

/** Keeps an answer of that time. */
export async function keepSecurityAnswer(
  file: string,
  question: Digest,
  at: number,
  updates: readonly SecurityUpdate[],
): Promise<void> {
  await writeDurably(file, JSON.stringify({ question, at, updates }));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
