import { describe, expect, it } from 'vitest';
import { fuzz, replayCorpus } from '../fuzz/run-fuzz.ts';
import { fuzzShares } from '../fuzz/targets.ts';

/** Of the million that `npm run test:long` runs. */
const inputs = 40_000;
const seed = Number(process.env.FUZZ_SEED ?? 1);

describe.each(fuzzShares.map((share) => [share.target().name, share] as const))(
  'what strangers send to %s',
  (_name, { target, share, outcomes }) => {
    it('never breaks it again where it once did', () => {
      replayCorpus(target());
    });

    it(`is a value, in ${inputs * share} mutations of seed ${seed}`, () => {
      const came = fuzz(target(), seed, inputs * share);
      for (const outcome of outcomes) {
        expect(
          came.get(outcome) ?? 0,
          `${outcome} of ${JSON.stringify([...came])}`,
        ).toBeGreaterThan(20);
      }
    });
  },
);
