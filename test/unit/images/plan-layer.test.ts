import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/digest.ts';
import { planLayer } from '../../../src/images/plan-layer.ts';
import type { TreeEntry } from '../../../src/images/tree-listing.ts';

const epoch = 1000;

function entry(path: string, facts: Partial<TreeEntry> = {}): TreeEntry {
  return {
    ...{ path, kind: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 5, size: 1 },
    ...{ content: digestOf(path), target: '', device: [0, 0], attributes: {}, names: [path] },
    ...facts,
  };
}

const folder = (path: string, facts: Partial<TreeEntry> = {}) =>
  entry(path, { kind: 'directory', content: '', size: 0, ...facts });
const lower = [folder(''), folder('a'), entry('a/x'), folder('a/d'), entry('a/d/y'), entry('z')];

/** The plan for a tree in which something is another one, or gone. */
function plan(...changes: (TreeEntry | string)[]) {
  const upper = new Map(lower.map((one) => [one.path, one]));
  for (const change of changes) {
    if (typeof change === 'string') upper.delete(change);
    else upper.set(change.path, change);
  }
  return planLayer(lower, [...upper.values()], epoch);
}

describe('a layer', () => {
  it('of two equal trees is empty', () => {
    expect(plan()).toEqual({ taken: [''], removed: [] });
  });

  const cases: [string, (TreeEntry | string)[], { taken: string[]; removed: string[] }][] = [
    [
      'a new file, with its folders',
      [entry('a/d/n')],
      { taken: ['', 'a', 'a/d', 'a/d/n'], removed: [] },
    ],
    ['other bytes', [entry('z', { content: digestOf('1') })], { taken: ['', 'z'], removed: [] }],
    ['another mode', [entry('z', { mode: 0o600 })], { taken: ['', 'z'], removed: [] }],
    ['another owner of a folder', [folder('a', { uid: 7 })], { taken: ['', 'a'], removed: [] }],
    ['another time', [entry('z', { mtime: 6 })], { taken: ['', 'z'], removed: [] }],
    [
      'another capability',
      [entry('z', { attributes: { 'security.capability': '\u0001' } })],
      { taken: ['', 'z'], removed: [] },
    ],
    ['a removed file', ['z'], { taken: [''], removed: ['z'] }],
    ['a removed folder, once', ['a/d', 'a/d/y'], { taken: ['', 'a'], removed: ['a/d'] }],
    [
      'a file in the place of a folder, which hides what was in it',
      ['a/d/y', entry('a/d')],
      { taken: ['', 'a', 'a/d'], removed: [] },
    ],
    [
      'a folder in the place of a file',
      [folder('z'), entry('z/n')],
      { taken: ['', 'z', 'z/n'], removed: [] },
    ],
  ];
  it.each(cases)('has %s', (_name, changes, expected) => {
    expect(plan(...changes)).toEqual(expected);
  });

  it('takes no time that it would not keep', () => {
    const late = (mtime: number) => [folder(''), entry('z', { mtime })];
    expect(planLayer(late(2000), late(3000), epoch).taken).toEqual(['']);
    expect(planLayer(late(999), late(3000), epoch).taken).toEqual(['', 'z']);
  });

  it('takes all names of an inode of which one is new', () => {
    const two = { names: ['a/x', 'n'] };
    expect(plan(entry('a/x', two), entry('n', { ...entry('a/x'), path: 'n', ...two }))).toEqual({
      taken: ['', 'a', 'a/x', 'n'],
      removed: [],
    });
  });

  it('takes what cannot be compared', () => {
    const odd = entry('z', { attributes: { 'user.x': '\ufffd' } });
    expect(planLayer([folder(''), odd], [folder(''), odd], epoch).taken).toEqual(['', 'z']);
  });
});
