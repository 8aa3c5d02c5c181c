import { expect, it } from 'vitest';
import { fuzzBootRequests } from '../fuzz/boot-requests.ts';

it('2,000 mutated requests to the boot listener are answered, and none is the server’s fault', async () => {
  const came = await fuzzBootRequests(Number(process.env.FUZZ_SEED ?? 1), 2000);
  for (const status of ['200', '400', '404']) {
    expect(came.get(status) ?? 0, JSON.stringify([...came])).toBeGreaterThan(50);
  }
});
