import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseImageDefinition } from '../../../src/images/image-definition.ts';

const least = 'name: small\nsuite: trixie\nkernel: {amd64: linux-image-amd64}\ndate: 2025-08-09\n';

function problemsOf(text: string) {
  const result = parseImageDefinition(text, 'images/small.yaml');
  return result.ok ? [] : result.problems;
}

describe('an image definition', () => {
  it('needs little', () => {
    const result = parseImageDefinition(least, 'images/small.yaml');
    expect(result).toMatchObject({
      ok: true,
      value: { name: 'small', rolePackages: true, packages: [], loaders: {}, variant: 'minbase' },
    });
  });

  it('is what the shipped one is', async () => {
    const file = join(import.meta.dirname, '../../../images/universal.yaml');
    const result = parseImageDefinition(await readFile(file, 'utf8'), file);
    expect(result).toMatchObject({ ok: true, value: { name: 'universal', rolePackages: true } });
  });

  const wrong: [string, string, { line: number; path: string; message: RegExp }[]][] = [
    ['an unknown key', `${least}packges: []\n`, [{ line: 1, path: '', message: /packges/ }]],
    [
      'every wrong value at once',
      `${least}packages:\n  - udev\n  - Bad Name\nprune:\n  paths: [/etc]\n`,
      [
        { line: 7, path: 'packages.1', message: /Debian package name/ },
        { line: 9, path: 'prune.paths.0', message: /below the root/ },
      ],
    ],
    [
      'a path that leads out',
      `${least}prune: {paths: [usr/../../etc]}\n`,
      [{ line: 5, path: 'prune.paths.0', message: /without \.\./ }],
    ],
    ['no YAML', `${least}packages: [udev\n`, [{ line: 6, path: '', message: /flow|sequence|\]/i }]],
    [
      'a missing key',
      'name: small\nkernel: {amd64: x86}\ndate: 2025-08-09\n',
      [{ line: 1, path: 'suite', message: /expected string/i }],
    ],
  ];
  it.each(wrong)('is refused for %s', (_name, text, expected) => {
    const problems = problemsOf(text);
    expect(problems).toHaveLength(expected.length);
    for (const [i, want] of expected.entries()) {
      expect(problems[i]).toMatchObject({
        file: 'images/small.yaml',
        line: want.line,
        path: want.path,
      });
      expect(problems[i]?.message).toMatch(want.message);
      expect(problems[i]?.hint).not.toBe('');
    }
  });
});
