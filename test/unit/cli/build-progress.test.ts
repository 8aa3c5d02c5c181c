import { describe, expect, it } from 'vitest';
import { createBuildProgress } from '../../../src/cli/build-progress.ts';
import { digestOf } from '../../../src/digest.ts';
import type { BuildEvent } from '../../../src/images/execute-build.ts';

const at = {
  step: {
    ...{ id: 'kernel' as const, kind: 'kernel' as const, from: 'bootstrap' as const },
    ...{ key: digestOf('k'), needs: [], inputs: {} },
  },
  index: 2,
  of: 8,
};
const build: BuildEvent[] = [
  { kind: 'resolving', text: 'looking up packages in trixie' },
  { kind: 'fetching', bytes: 0, of: 5e6 },
  { kind: 'fetching', bytes: 4e5, of: 5e6 },
  { kind: 'fetching', bytes: 3e6, of: 5e6 },
  { kind: 'warning', text: 'no mirror has trixie-security' },
  { kind: 'step-kept', ...at, index: 1 },
  { kind: 'step-started', ...at },
  { kind: 'step-progress', ...at, text: 'copying', done: 0.456 },
  { kind: 'step-done', ...at, seconds: 12.34 },
];

function shown(terminal: boolean): string {
  let text = '';
  const output = { isTTY: terminal, columns: 40, write: (part: string) => (text += part) };
  const progress = createBuildProgress(output, () => 0);
  for (const event of build) progress.show(event);
  progress.end();
  return text;
}

describe('a build is shown', () => {
  it('in plain lines where no terminal is', () => {
    expect(shown(false)).toBe(
      [
        'looking up packages in trixie',
        'fetching packages: 0 % of 5.0 MB',
        'fetching packages: 60 % of 5.0 MB',
        'warning: no mirror has trixie-security',
        '[1/8] take the kernel: unchanged',
        '[2/8] take the kernel',
        '[2/8] take the kernel: 46 % copying',
        '[2/8] take the kernel: done in 12.3 s',
        '',
      ].join('\n'),
    );
  });

  it('in one line that is rewritten, and never wider, on a terminal', () => {
    const lines = shown(true).split(/[\n\r]/);
    expect(lines).toContain('\x1b[K[2/8] take the kernel 0 s');
    expect(lines).toContain('\x1b[K[2/8] take the kernel 0 s 46 % copying');
    expect(lines).toContain('\x1b[K[2/8] take the kernel: done in 12.3 s');
    for (const line of lines) expect(line.replace('\x1b[K', '').length).toBeLessThan(40);
  });
});

it('on a terminal a step of which a part is done says what is left', () => {
  let text = '';
  let now = 0;
  const output = { isTTY: true, columns: 80, write: (part: string) => (text += part) };
  const progress = createBuildProgress(output, () => now);
  progress.show({ kind: 'step-started', ...at });
  now = 3_000;
  progress.show({ kind: 'step-progress', ...at, text: 'copying', done: 0.1 });
  expect(text, 'too early for a guess').not.toContain('left');
  now = 30_000;
  progress.show({ kind: 'step-progress', ...at, text: 'copying', done: 0.75 });
  progress.end();
  expect(text).toContain('30 s 75 % copying, some 10 s left');
});
