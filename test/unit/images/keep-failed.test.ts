import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { AppError } from '../../../src/errors.ts';
import { endFailed } from '../../../src/images/keep-failed.ts';

let folder = '';
let work = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keep-failed-'));
  work = join(folder, 'build-work');
  mkdirSync(work);
  writeFileSync(join(work, 'half'), '');
});
afterEach(() => rmSync(folder, { recursive: true }));

const failure = new AppError('step-failed', 'step 3/8 failed', 'run it again');

it('the folder of a build that failed goes', async () => {
  expect(await endFailed(work, false, failure)).toBe(failure);
  expect(readdirSync(folder)).toEqual([]);
});

it('on request it stays, the error says where, and that of the failure before goes', async () => {
  mkdirSync(`${work}-failed/older`, { recursive: true });
  const told = await endFailed(work, true, failure);
  expect(told).toMatchObject({
    code: 'step-failed',
    hint: 'run it again',
    message: `step 3/8 failed\nthe build folder is kept: ${work}-failed`,
  });
  expect(readdirSync(`${work}-failed`)).toEqual(['half']);
  expect(existsSync(work)).toBe(false);
});
