import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/digest.ts';
import {
  gapOf,
  type LockedPackage,
  misfits,
  type PackageLock,
  parseLock,
  renderLock,
  type WantedPackages,
} from '../../../src/images/package-lock.ts';

function locked(name: string, architecture = 'amd64'): LockedPackage {
  const path = `pool/main/${name}_1%7e2.deb`;
  return { name, version: '1:2.3~rc1-4+b1', architecture, size: 9, digest: digestOf(name), path };
}
const suite = { suite: 'trixie', architecture: 'amd64', variant: 'minbase' } as const;
const lock: PackageLock = {
  ...suite,
  groups: [
    { asked: ['kmod', 'udev'], packages: [locked('kmod'), locked('libc6'), locked('udev')] },
    { asked: ['nginx'], packages: [locked('nginx')] },
    { asked: ['libc6', 'tcpdump'], packages: [locked('tcpdump')] },
  ],
  loaders: {
    asked: ['ipxe:amd64', 'shim:arm64'],
    packages: [locked('ipxe', 'all'), locked('shim', 'arm64')],
  },
};
const wanted: WantedPackages = {
  ...suite,
  packages: ['kmod', 'libc6', 'nginx', 'tcpdump', 'udev'],
  loaders: ['ipxe:amd64', 'shim:arm64'],
};

describe('the text of a lock', () => {
  it('gives the same lock back', () => {
    expect(parseLock(renderLock(lock), 'f')).toEqual({ ok: true, value: lock });
    const empty = {
      ...lock,
      groups: [{ asked: [], packages: [] }],
      loaders: { asked: [], packages: [] },
    };
    expect(parseLock(renderLock(empty), 'f')).toEqual({ ok: true, value: empty });
  });

  it('has names that YAML would take for numbers and the like', () => {
    const names = ['0xffff', '1e3', '2048', '2048-qt', '4.2', 'null', 'true'];
    const odd = {
      ...lock,
      groups: [{ asked: names, packages: names.map((name) => locked(name)) }],
    };
    expect(parseLock(renderLock(odd), 'f')).toEqual({ ok: true, value: odd });
  });

  it('has one line for each package', () => {
    const lines = renderLock(lock).split('\n');
    expect(lines.filter((line) => line.includes(digestOf('nginx')))).toEqual([
      `      - nginx 1:2.3~rc1-4+b1 amd64 9 ${digestOf('nginx')} pool/main/nginx_1%7e2.deb`,
    ]);
  });

  const wrongs: [string, (text: string) => string, number, RegExp][] = [
    ['a short digest', (t) => t.replace(digestOf('kmod'), 'abc'), 14, /is not a package/],
    ['a way out of the mirror', (t) => t.replace('pool/main/kmod', '../kmod'), 14, /is not a/],
    ['a name with a way in it', (t) => t.replace('- kmod 1', '- ../kmod 1'), 14, /is not a/],
    ['marks of a merge', (t) => t.replace('groups:', '<<<<<<< HEAD\ngroups:'), 8, /./],
    ['another architecture', (t) => t.replace('amd64', 'riscv64'), 6, /amd64/],
  ];
  it.each(wrongs)('with %s is refused at its line', (_what, damage, line, message) => {
    const parsed = parseLock(damage(renderLock(lock)), 'images/x.amd64.lock');
    if (parsed.ok) throw new Error('it was taken');
    expect(parsed.problems[0]).toMatchObject({ file: 'images/x.amd64.lock', line });
    expect(parsed.problems[0]?.message).toMatch(message);
    expect(parsed.problems[0]?.hint).toContain('rolecall build --update');
  });
});

describe('a lock', () => {
  it('fits what it was made for', () => {
    expect(misfits(lock, wanted)).toEqual([]);
  });

  it('says all that does not fit', () => {
    const other: WantedPackages = {
      ...{ suite: 'forky', architecture: 'amd64', variant: 'minbase' },
      packages: ['kmod', 'libc6', 'nginx', 'postfix', 'udev'],
      loaders: ['ipxe:amd64', 'grub:amd64'],
    };
    expect(misfits(lock, other)).toEqual([
      'it is of suite trixie, not forky',
      'it lacks postfix',
      'nothing asks any more for tcpdump',
      'it lacks for loaders grub:amd64',
      'no loader is taken any more from shim:arm64',
    ]);
  });
});

describe('what must be resolved', () => {
  const names = (packages: readonly LockedPackage[]) => packages.map(({ name }) => name);

  it('is all where there is no lock, or one of another suite', () => {
    for (const before of [undefined, { ...lock, suite: 'bookworm' }]) {
      const gap = gapOf(before, wanted);
      expect(gap).toEqual({
        ...{ keep: [], pins: [], keepLoaders: [] },
        ...{ ask: wanted.packages, loaders: wanted.loaders },
      });
    }
  });

  it('is what was added alone, on top of the groups that are there', () => {
    const gap = gapOf(lock, { ...wanted, packages: [...wanted.packages, 'vim'] });
    expect(gap.keep).toEqual(lock.groups);
    expect(gap.ask).toEqual(['vim']);
    expect(gap.pins).toEqual([]);
    expect(gap.loaders).toEqual([]);
  });

  it('is what comes from a dropped package’s group on, in the versions that were held', () => {
    const packages = wanted.packages.filter((name) => name !== 'nginx');
    const gap = gapOf(lock, { ...wanted, packages });
    expect(gap.keep).toEqual(lock.groups.slice(0, 1));
    expect(gap.ask).toEqual(['libc6', 'tcpdump']);
    expect(names(gap.pins)).toEqual(['nginx', 'tcpdump']);
  });

  it('is a loader’s package alone for a new loader', () => {
    const gap = gapOf(lock, { ...wanted, loaders: ['grub:amd64', 'ipxe:amd64'] });
    expect(gap.loaders).toEqual(['grub:amd64']);
    expect(names(gap.keepLoaders)).toEqual(['ipxe']);
    expect(gap.ask).toEqual([]);
  });
});
