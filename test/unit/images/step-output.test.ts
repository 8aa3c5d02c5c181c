import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/digest.ts';
import { changedInputs } from '../../../src/images/step-output.ts';

const packages = (...versions: string[]) =>
  versions.map((v) => `${v.replace('=', ' ')} amd64 ${digestOf(v)}`);

describe('why a step is to be done', () => {
  const cases: [string, Record<string, unknown>, Record<string, unknown>, string][] = [
    [
      'other packages',
      { packages: packages('kmod=1', 'udev=2') },
      { packages: packages('kmod=1', 'udev=3', 'vim=9') },
      'packages: +udev=3 +vim=9 -udev=2',
    ],
    [
      'many other packages',
      { packages: [] },
      { packages: packages('a=1', 'b=1', 'c=1', 'd=1', 'e=1', 'f=1') },
      'packages: +a=1 +b=1 +c=1 +d=1 and 2 more',
    ],
    [
      'another program',
      { mksquashfs: 'mksquashfs 4.5' },
      { mksquashfs: 'mksquashfs 4.6' },
      'mksquashfs: mksquashfs 4.5 → mksquashfs 4.6',
    ],
    [
      'several at once',
      { root: digestOf('a'), 'program text of the step': digestOf('a') },
      { root: digestOf('b'), 'program text of the step': digestOf('b') },
      'the root is another one; program text of the step changed',
    ],
    ['a new key of the definition', {}, { epoch: 5 }, 'epoch changed'],
  ];
  it.each(cases)('%s', (_what, before, now, text) => {
    expect(changedInputs(before, now)).toBe(text);
  });

  it('nothing that was there before', () => {
    expect(changedInputs(undefined, {})).toBe('never made, or not kept');
  });
});
