import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/digest.ts';
import type { StepId, StepKind } from '../../../src/images/build-step.ts';
import { describeStep } from '../../../src/images/describe-step.ts';
import { debian } from '../../../src/images/distributions/debian.ts';
import type { ImageDefinition } from '../../../src/images/image-definition.ts';
import type { LockedPackage, PackageLock } from '../../../src/images/package-lock.ts';
import { type BuildFacts, planBuild } from '../../../src/images/plan-build.ts';
import { wantedPackages } from '../../../src/images/wanted-packages.ts';

const definition: ImageDefinition = {
  ...{ name: 'universal', distribution: debian, sources: [], users: [], files: [], hooks: [] },
  ...{ hardware: { drivers: undefined, firmware: [] }, locale: undefined },
  compression: { type: 'zstd', level: 3 },
  suite: 'trixie',
  variant: 'minbase',
  kernel: { amd64: 'linux-image-amd64' },
  packages: ['udev', 'kmod'],
  rolePackages: true,
  date: new Date('2025-08-09T00:00:00Z'),
  answers: [],
  prune: { paths: ['usr/share/doc'], modules: ['sound'] },
  loaders: { 'ipxe.efi': { package: 'ipxe', path: 'usr/lib/ipxe/ipxe.efi' } },
};

const ids: readonly StepId[] = [
  'bootstrap',
  'packages-2',
  'kernel',
  'squash',
  'facts',
  'initramfs',
  'loaders',
  'assemble',
];
const kinds: readonly StepKind[] = [
  ...(['bootstrap', 'packages', 'kernel', 'squash', 'facts', 'initramfs', 'loaders'] as const),
  'assemble',
];

function locked(name: string, version = '1', path = `pool/${name}.deb`): LockedPackage {
  return { name, version, architecture: 'amd64', size: 1, digest: digestOf(name + version), path };
}

const lock: PackageLock = {
  ...{ suite: 'trixie', architecture: 'amd64', variant: 'minbase' },
  groups: [
    { asked: ['kmod', 'udev'], packages: [locked('kmod'), locked('libc6'), locked('udev')] },
    { asked: ['nginx-light'], packages: [locked('nginx-light')] },
  ],
  loaders: { asked: ['ipxe:amd64'], packages: [locked('ipxe')] },
};

const facts: BuildFacts = {
  ...{ lock, groups: [], brought: [digestOf('nothing')] },
  tools: { mmdebstrap: 'mmdebstrap 1', mksquashfs: 'mksquashfs 4' },
  guestDir: '/here/guest',
  guest: digestOf('guest'),
  program: Object.fromEntries(kinds.map((kind) => [kind, digestOf(kind)])) as BuildFacts['program'],
};

/** The lock with other groups. */
function grouped(...groups: readonly (readonly string[])[]): Partial<BuildFacts> {
  const all = groups.map((names) => ({ asked: names, packages: names.map((n) => locked(n)) }));
  return { lock: { ...lock, groups: all } };
}

/** The steps of the second plan whose keys are in none of the first. */
function redone(changed: Partial<ImageDefinition>, world: Partial<BuildFacts> = {}): StepId[] {
  const before = new Set(planBuild(definition, facts).map(({ key }) => key));
  const after = planBuild({ ...definition, ...changed }, { ...facts, ...world });
  return after.filter(({ key }) => !before.has(key)).map(({ id }) => id);
}

describe('a plan', () => {
  it('lists its steps so that each comes after what it needs', () => {
    const steps = planBuild(definition, facts);
    expect(steps.map((step) => step.id)).toEqual(ids);
    for (const [at, step] of steps.entries()) {
      for (const need of step.needs) expect(ids.indexOf(need)).toBeLessThan(at);
    }
  });

  it('keeps no root of few packages on top of one that is kept', () => {
    const names = (count: number, of: string) =>
      Array.from({ length: count }, (_, n) => `${of}${n}`);
    const plan = (...groups: readonly (readonly string[])[]) =>
      planBuild(definition, { ...facts, ...grouped(['kmod', 'udev'], ...groups) })
        .filter(({ kind }) => kind === 'packages')
        .map(({ passing }) => passing ?? false);
    expect(plan(names(10, 'a'))).toEqual([true]);
    expect(plan(names(11, 'a'))).toEqual([false]);
    // Together they would take long to install again.
    expect(plan(['tree'], names(9, 'a'), ['bc'], ['jq'])).toEqual([true, true, false, true]);
    expect(planBuild(definition, facts).filter(({ passing }) => passing)).toHaveLength(1);
  });

  it('installs the groups of the lock one after the other, and none that brings nothing', () => {
    const groups = [...lock.groups, { asked: ['libc6'], packages: [] }];
    const steps = planBuild(definition, { ...facts, lock: { ...lock, groups } });
    expect(steps.map((step) => step.id)).toEqual(ids);
    expect(steps[1]).toMatchObject({ from: 'bootstrap', asked: ['nginx-light'] });
    expect(steps[3]).toMatchObject({ id: 'squash', from: 'packages-2', epoch: 1754697600 });
  });

  it('says of every step what it does', () => {
    const texts = planBuild(definition, facts).map(describeStep);
    expect(new Set(texts).size).toBe(ids.length);
    expect(texts[0]).toBe('install 3 packages of trixie amd64');
    expect(texts[1]).toBe('add nginx-light (1 packages)');
  });
});

describe('a plan of an image that extends another', () => {
  const { hooks, ...rest } = definition;
  const hook = { run: '/site/images/hook', network: false, secrets: [] };
  const child: ImageDefinition = {
    ...{ ...rest, hooks: [hook], name: 'edge', parent: definition, rolePackages: false },
    ...{ packages: ['jq'], prune: { paths: ['usr/share/man'], modules: [] } },
  };
  const groups = [...lock.groups, { asked: ['jq'], packages: [locked('jq')] }];
  const world: BuildFacts = {
    ...{ ...facts, lock: { ...lock, groups }, groups: [2] },
    brought: [digestOf('nothing'), digestOf('hook')],
    program: Object.fromEntries(
      [...kinds, 'customize', 'layer'].map((kind) => [kind, digestOf(kind)]),
    ) as BuildFacts['program'],
  };
  const steps = planBuild(child, world);

  it('has the steps of the other one, and packs what differs as a layer', () => {
    expect(steps.map(({ id }) => id)).toEqual([
      ...['bootstrap', 'packages-2', 'kernel', 'squash', 'packages-3', 'customize-2', 'layer-2'],
      ...['facts', 'initramfs', 'loaders', 'assemble'],
    ]);
    const alone = new Map(planBuild(definition, facts).map(({ id, key }) => [id, key]));
    for (const { id, key } of steps.slice(0, 4)) expect(alone.get(id)).toBe(key);
    expect(steps[4]).toMatchObject({ from: 'packages-2', passing: true });
    // Trimming takes this root, and the image on top of it is made of it again.
    expect(steps[1]).not.toHaveProperty('passing');
    expect(steps[6]).toMatchObject({
      ...{ from: 'customize-2', below: 'squash', paths: ['usr/share/doc', 'usr/share/man'] },
    });
    expect(steps.at(-1)).toMatchObject({ layers: ['squash', 'layer-2'], name: 'edge' });
  });

  it('does again what a changed file decides, and not for another place of it', () => {
    const keys = new Set(steps.map(({ key }) => key));
    const redone = (image: ImageDefinition, brought = world.brought) =>
      planBuild(image, { ...world, brought }).flatMap(({ id, key }) => (keys.has(key) ? [] : id));
    expect(redone({ ...child, hooks: [{ ...hook, run: '/elsewhere/hook' }] })).toEqual([]);
    expect(redone(child, [digestOf('nothing'), digestOf('other')])).toEqual([
      ...['customize-2', 'layer-2', 'facts', 'initramfs', 'assemble'],
    ]);
  });

  it('gives its own answers to debconf before its first packages, and no step below is done again', () => {
    const further = { asked: ['yq'], packages: [locked('yq')] };
    const more = { ...world, lock: { ...lock, groups: [...groups, further] } };
    const answers = ['jq jq/where string here'];
    const keys = new Set(planBuild(child, more).map(({ key }) => key));
    const answered = planBuild({ ...child, answers }, more);
    expect(answered.find(({ id }) => id === 'packages-3')).toMatchObject({ answers });
    expect(answered.find(({ id }) => id === 'packages-4')).toMatchObject({ answers: [] });
    expect(answered.flatMap(({ id, key }) => (keys.has(key) ? [] : id))).toEqual([
      ...['packages-3', 'packages-4', 'customize-2', 'layer-2', 'facts', 'initramfs', 'assemble'],
    ]);
  });
});

describe('what an image wants', () => {
  it('is the kernel, its own packages and the roles’, each once and sorted, and the loaders’', () => {
    const loaders = {
      ...definition.loaders,
      a: { package: 'shim', architecture: 'arm64' as const, path: 'a' },
      b: { package: 'ipxe', path: 'b' },
    };
    expect(wantedPackages({ ...definition, loaders }, 'amd64', ['nginx-light', 'udev'])).toEqual({
      ...{ suite: 'trixie', architecture: 'amd64', variant: 'minbase' },
      packages: ['kmod', 'linux-image-amd64', 'nginx-light', 'udev'],
      loaders: ['ipxe:amd64', 'shim:arm64'],
    });
  });

  it('leaves the roles’ packages out where the definition says so', () => {
    const own = wantedPackages({ ...definition, rolePackages: false }, 'amd64', ['nginx-light']);
    expect(own.packages).toEqual(['kmod', 'linux-image-amd64', 'udev']);
  });
});

describe('what is done again', () => {
  const afterRoot: StepId[] = ['kernel', 'squash', 'facts', 'initramfs', 'assemble'];
  const renewed: PackageLock = {
    ...lock,
    loaders: { ...lock.loaders, packages: [locked('ipxe', '2')] },
  };
  const moved = lock.groups.map(({ asked, packages }) => ({
    asked,
    packages: packages.map((p) => ({ ...p, path: `elsewhere/${p.path}` })),
  }));
  const cases: [string, StepId[], Partial<ImageDefinition>, Partial<BuildFacts>?][] = [
    ['nothing where nothing changed', [], {}],
    ['nothing for another place of the same scripts', [], {}, { guestDir: '/there/guest' }],
    ['nothing for another place of the packages', [], {}, { lock: { ...lock, groups: moved } }],
    [
      'the initramfs alone for changed guest scripts',
      ['initramfs', 'assemble'],
      {},
      { guest: digestOf('other') },
    ],
    [
      'what was added alone for one more package',
      ['packages-3', ...afterRoot],
      {},
      grouped(['kmod', 'libc6', 'udev'], ['nginx-light'], ['tcpdump']),
    ],
    [
      'no package for one less in the last group',
      afterRoot,
      {},
      grouped(['kmod', 'libc6', 'udev']),
    ],
    [
      'the whole root for another first group',
      ['bootstrap', 'packages-2', ...afterRoot],
      {},
      grouped(['libc6', 'udev'], ['nginx-light']),
    ],
    ['no installation for pruning', afterRoot.slice(1), { prune: { paths: [], modules: [] } }],
    ['the loaders alone for a loader', ['loaders', 'assemble'], { loaders: {} }],
    ['the loaders alone for a newer loader', ['loaders', 'assemble'], {}, { lock: renewed }],
    [
      'the root for another mmdebstrap',
      ['bootstrap', 'packages-2', ...afterRoot],
      {},
      { tools: { ...facts.tools, mmdebstrap: 'mmdebstrap 2' } },
    ],
    [
      'the file system for another mksquashfs',
      ['squash', 'facts', 'initramfs', 'assemble'],
      {},
      { tools: { ...facts.tools, mksquashfs: 'mksquashfs 5' } },
    ],
    [
      'a step and what needs it where its own program changed',
      ['squash', 'facts', 'initramfs', 'assemble'],
      {},
      { program: { ...facts.program, squash: digestOf('other program') } },
    ],
  ];
  it.each(cases)('%s', (_name, expected, changed, world) => {
    expect(redone(changed, world)).toEqual(expected);
  });
});
