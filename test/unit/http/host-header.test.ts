import { expect, test } from 'vitest';
import { isHostAllowed } from '../../../src/http/host-header.ts';

test.each([
  ['localhost', true],
  ['127.0.0.1:8470', true],
  ['[fe80::1]:80', true],
  ['boot.example', true],
  ['BOOT.example:80', true],
  ['other.example', false],
  ['localhost.', false],
  ['127.0.0.1.other.example', false],
  ['', false],
  [undefined, false],
])('Host: %s → %s', (header, allowed) => {
  expect(isHostAllowed(header, ['boot.example'])).toBe(allowed);
});
