import { expect, test } from 'vitest';
import { parseModinfo } from '../../../src/images/modinfo.ts';
import { elfModule } from './elf-module.ts';

test('every value of a key, in order, and of no other key', () => {
  const module = elfModule([
    'license=GPL',
    'firmware=tigon/tg3_tso.bin',
    'nofirmware=x',
    'firmware=tigon/tg3.bin',
  ]);
  expect(parseModinfo(module, 'firmware')).toEqual(['tigon/tg3_tso.bin', 'tigon/tg3.bin']);
  expect(parseModinfo(module, 'softdep')).toEqual([]);
});

test('what is no 64-bit ELF file is refused', () => {
  expect(() => parseModinfo(Buffer.from('#!/bin/sh\n'.repeat(10)), 'firmware')).toThrow('ELF');
});
