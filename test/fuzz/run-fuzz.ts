import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { seededRandom } from '../seeded-random.ts';
import type { FuzzTarget } from './fuzz-target.ts';
import { mutate } from './mutate.ts';

const corpus = new URL('../captures/corpus/', import.meta.url);

/** No input may hold up the server so long: whoever can send one can send many. A thousand times what one takes. */
const mostMilliseconds = 1000;

/**
 * Runs that many mutated inputs; gives back how many came how far. An input that breaks a property is kept in
 * `test/captures/corpus`, to be run every time from then on.
 */
export function fuzz(
  target: FuzzTarget,
  seed: number,
  inputs: number,
): ReadonlyMap<string, number> {
  const came = new Map<string, number>();
  for (let n = 0; n < inputs; n += 1) {
    // Each input has a seed of its own, so that one alone can be made again.
    const input = mutate(target, seededRandom(seed + n));
    try {
      const outcome = runOne(target, input);
      came.set(outcome, (came.get(outcome) ?? 0) + 1);
    } catch (error) {
      const path = keep(target, seed + n, input, error);
      throw new Error(`${target.name}: input of seed ${seed + n} (kept as ${path})`, {
        cause: error,
      });
    }
  }
  return came;
}

/** Runs what once broke this target. */
export function replayCorpus(target: FuzzTarget): number {
  const kept = readdirSync(corpus).filter((name) => name.startsWith(`${target.name}-`));
  for (const name of kept) {
    const text = readFileSync(new URL(name, corpus), 'utf8').replace(/^#.*$/gm, '');
    runOne(target, Buffer.from(text.replace(/\s/g, ''), 'hex'));
  }
  return kept.length;
}

function runOne(target: FuzzTarget, input: Uint8Array): string {
  // A machine that is busy elsewhere, or the collector, may hold up one run but not three.
  for (let tries = 1; ; tries += 1) {
    const start = performance.now();
    const outcome = target.run(input);
    const took = performance.now() - start;
    if (took <= mostMilliseconds) return outcome;
    if (tries === 3) throw new Error(`it takes ${Math.round(took)} ms, each time`);
  }
}

function keep(target: FuzzTarget, seed: number, input: Uint8Array, error: unknown): string {
  const why = (error instanceof Error ? error.message : String(error)).split('\n')[0];
  const hex = Buffer.from(input).toString('hex').replace(/.{64}/g, '$&\n');
  mkdirSync(corpus, { recursive: true });
  const path = new URL(`${target.name}-${seed}.hex`, corpus);
  writeFileSync(path, `# seed ${seed}: ${why}\n${hex}\n`);
  return path.pathname;
}
