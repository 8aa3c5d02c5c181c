import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { confirm } from '../../../src/cli/confirm.ts';

/** What a terminal sends for these keys once it is asked. */
function typed(keys: string): Promise<string> {
  const input = Object.assign(new PassThrough(), { isTTY: true });
  const output = Object.assign(new PassThrough(), { isTTY: true });
  output.once('data', () => input.write(keys));
  return confirm('delete', { input, output }).then(
    () => 'agreed',
    (error) => `${error.code}: ${error.message}`,
  );
}

test.each([
  ['the word', 'delete\r', 'agreed'],
  ['another word', 'yes\r', 'not-confirmed: nothing was changed'],
  ['Ctrl-C', '\x03', 'not-confirmed: nothing was changed'],
  ['Ctrl-D', '\x04', 'not-confirmed: nothing was changed'],
])('%s', async (_name, keys, outcome) => {
  expect(await typed(keys)).toBe(outcome);
});

test('where nobody can be asked', async () => {
  const streams = { input: new PassThrough(), output: new PassThrough() };
  await expect(confirm('delete', streams)).rejects.toMatchObject({
    code: 'not-confirmed',
    hint: 'in a terminal, or with --yes',
  });
});
