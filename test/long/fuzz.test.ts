import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { fuzzBootRequests } from '../fuzz/boot-requests.ts';
import { fuzz } from '../fuzz/run-fuzz.ts';
import { fuzzShares } from '../fuzz/targets.ts';

const inputs = 1_000_000;
/** Another one every day; a run is repeated with `FUZZ_SEED=… npm run test:long`. */
const seed = Number(process.env.FUZZ_SEED ?? 1000 * Math.floor(Date.now() / 86_400_000));

describe.each(fuzzShares.map((share) => [share.target().name, share] as const))(
  `a million inputs from seed ${seed}: %s`,
  (name, { target, share, outcomes }) => {
    it('is a value, and memory does not grow', () => {
      const subject = target();
      const half = (inputs * share) / 2;
      fuzz(subject, seed, half);
      const before = memory();
      const came = fuzz(subject, seed + half, half);
      const grown = memory() - before;
      process.stdout.write(
        `fuzz ${name}: seed ${seed}, ${JSON.stringify(Object.fromEntries(came))}\n`,
      );
      for (const outcome of outcomes) expect(came.get(outcome) ?? 0, outcome).toBeGreaterThan(100);
      // What is kept of strangers is bounded: the second half adds nothing to the first.
      expect(grown).toBeLessThan(5 * 1024 * 1024);
    });
  },
);

it(`20,000 requests to the boot listener from seed ${seed} are answered`, async () => {
  const came = await fuzzBootRequests(seed, 20_000);
  for (const status of ['200', '400', '404']) expect(came.get(status) ?? 0).toBeGreaterThan(500);
});

/** Bytes that are still reachable. */
function memory(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().heapUsed;
}
