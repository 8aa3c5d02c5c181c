import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/digest.ts';
import {
  gapIn,
  type LockState,
  lockWithoutGap,
  whyNotHeld,
} from '../../../src/images/lock-chain.ts';
import type { LockedPackage, PackageLock } from '../../../src/images/package-lock.ts';

const of = (name: string, version = '1'): LockedPackage => ({
  ...{ name, version, architecture: 'amd64', size: 1, digest: digestOf(name + version) },
  path: `pool/${name}.deb`,
});
const suite = { suite: 'trixie', architecture: 'amd64', variant: 'minbase' } as const;
const group = (...names: string[]) => ({ asked: names, packages: names.map((n) => of(n)) });
const lock = (...groups: PackageLock['groups']): PackageLock => ({
  ...{ ...suite, groups, loaders: { asked: [], packages: [] } },
});
const base = lock(group('kmod'), group('nginx'));
const state = (held: PackageLock | undefined, below = base): LockState => ({
  wanted: { ...suite, packages: ['jq', 'kmod', 'nginx'], loaders: [] },
  held,
  parent: { name: 'universal', lock: below },
});
const fitting = lock(...base.groups, group('jq'));

describe('the lock of an image that extends another', () => {
  it('fits where it begins with the other one’s', () => {
    expect(whyNotHeld(state(fitting))).toEqual([]);
    expect(whyNotHeld(state(undefined))).toEqual(['it is not there']);
    expect(whyNotHeld(state(lock(...base.groups)))).toEqual(['it lacks jq']);
  });

  it('begins with the other one’s, and asks for its own only', () => {
    expect(gapIn(state(undefined))).toMatchObject({ keep: base.groups, ask: ['jq'], pins: [] });
    expect(gapIn(state(fitting))).toMatchObject({ keep: fitting.groups, ask: [] });
  });

  it('is resolved anew where what it extends has other versions, with its own versions as far as they go', () => {
    const newer = lock({ asked: ['kmod', 'nginx'], packages: [of('kmod', '2'), of('nginx')] });
    expect(whyNotHeld(state(fitting, newer))).toEqual([
      expect.stringContaining('other packages of universal'),
    ]);
    expect(gapIn(state(fitting, newer))).toMatchObject({
      ...{ keep: newer.groups, ask: ['jq'], pins: [of('jq')] },
    });
  });

  it('takes today’s versions of its own packages alone where it is to be renewed', () => {
    const gap = gapIn(state(fitting), true);
    expect(gap).toMatchObject({ keep: base.groups, ask: ['jq'], pins: [] });
  });

  it('needs no mirror where it adds no package', () => {
    const wanted = { ...suite, packages: ['kmod', 'nginx'], loaders: [] };
    const gap = gapIn({ ...state(undefined), wanted });
    expect(lockWithoutGap(wanted, gap)).toEqual(base);
    expect(lockWithoutGap(state(undefined).wanted, gapIn(state(undefined)))).toBeUndefined();
  });
});
