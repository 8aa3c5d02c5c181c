import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeSite } from '../../src/cli/check.ts';
import { renderProblems } from '../../src/render-problems.ts';
import { loadSite } from '../../src/site/load-site.ts';

const cases = join(import.meta.dirname, 'check');

// Each case is a site folder and the whole text that an operator reads; `vitest -u` rewrites the texts.
describe('what check says of a site', () => {
  for (const name of readdirSync(cases)) {
    test(name, async () => {
      const result = await loadSite(join(cases, name, 'site'));
      const text = result.ok ? describeSite(result.value) : renderProblems(result.problems);
      await expect(`${text}\n`).toMatchFileSnapshot(join(cases, name, 'expected'));
    });
  }
});
