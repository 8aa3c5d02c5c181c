import { expect, test } from 'vitest';
import { strangeAnswer } from '../../../src/cli/strange-answer.ts';
import { healthSchema } from '../../../src/http/api-schemas.ts';

test('an answer of another version is one sentence with the place', () => {
  const { error } = healthSchema.safeParse({ status: 'ok' });
  expect(strangeAnswer(error)).toMatchObject({
    code: 'strange-answer',
    message: expect.stringMatching(/does not know: version: .*expected string/),
    hint: expect.stringContaining('systemctl restart rolecall'),
  });
});

test('any other error is not one', () => {
  expect(strangeAnswer(new Error('ZodError'))).toBeUndefined();
  expect(strangeAnswer('ZodError')).toBeUndefined();
});
