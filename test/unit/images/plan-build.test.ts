import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/digest.ts';
import type { ImageDefinition } from '../../../src/images/image-definition.ts';
import {
  type BuildFacts,
  describeStep,
  planBuild,
  type StepKind,
} from '../../../src/images/plan-build.ts';

const definition: ImageDefinition = {
  name: 'universal',
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

const kinds: readonly StepKind[] = [
  'bootstrap',
  'kernel',
  'trim',
  'facts',
  'initramfs',
  'squash',
  'loaders',
  'assemble',
];

const facts: BuildFacts = {
  architecture: 'amd64',
  rolePackages: ['nginx-light', 'udev'],
  release: digestOf('release'),
  tools: { mmdebstrap: 'mmdebstrap 1', mksquashfs: 'mksquashfs 4' },
  guestDir: '/here/guest',
  guest: digestOf('guest'),
  program: Object.fromEntries(kinds.map((kind) => [kind, digestOf(kind)])) as BuildFacts['program'],
};

/** The kinds of steps whose keys differ between two plans. */
function redone(changed: Partial<ImageDefinition>, world: Partial<BuildFacts> = {}): StepKind[] {
  const before = planBuild(definition, facts);
  const after = planBuild({ ...definition, ...changed }, { ...facts, ...world });
  return after.filter((step, i) => step.key !== before[i]?.key).map((step) => step.kind);
}

describe('a plan', () => {
  it('lists its steps so that each comes after what it needs', () => {
    const steps = planBuild(definition, facts);
    expect(steps.map((step) => step.kind)).toEqual(kinds);
    for (const [at, step] of steps.entries()) {
      for (const need of step.needs) expect(kinds.indexOf(need)).toBeLessThan(at);
    }
  });

  it('installs the kernel, the definition’s packages and the roles’, each once and sorted', () => {
    const [bootstrap] = planBuild(definition, facts);
    expect(bootstrap).toMatchObject({
      packages: ['kmod', 'linux-image-amd64', 'nginx-light', 'udev'],
      epoch: 1754697600,
    });
  });

  it('leaves the roles’ packages out where the definition says so', () => {
    const [bootstrap] = planBuild({ ...definition, rolePackages: false }, facts);
    expect(bootstrap).toMatchObject({ packages: ['kmod', 'linux-image-amd64', 'udev'] });
  });

  it('says of every step what it does', () => {
    const texts = planBuild(definition, facts).map(describeStep);
    expect(new Set(texts).size).toBe(kinds.length);
    expect(texts[0]).toBe('install 4 packages and what they need of trixie amd64');
  });
});

describe('what is done again', () => {
  const afterRoot: StepKind[] = ['trim', 'facts', 'initramfs', 'squash', 'assemble'];
  const cases: [string, StepKind[], Partial<ImageDefinition>, Partial<BuildFacts>?][] = [
    ['nothing where nothing changed', [], {}],
    ['nothing for packages in another order', [], { packages: ['kmod', 'udev'] }],
    ['nothing for a package that two ask for', [], {}, { rolePackages: ['udev', 'nginx-light'] }],
    ['nothing for another place of the same scripts', [], {}, { guestDir: '/there/guest' }],
    [
      'the initramfs alone for changed guest scripts',
      ['initramfs', 'assemble'],
      {},
      { guest: digestOf('other') },
    ],
    ['the root for a new package', ['bootstrap', 'kernel', ...afterRoot], { packages: ['udev'] }],
    [
      'the root for a role’s package',
      ['bootstrap', 'kernel', ...afterRoot],
      {},
      { rolePackages: [] },
    ],
    ['no installation for pruning', afterRoot, { prune: { paths: [], modules: [] } }],
    ['the loaders alone for a loader', ['loaders', 'assemble'], { loaders: {} }],
    [
      'all that is fetched for a newer release',
      ['bootstrap', 'kernel', 'trim', 'facts', 'initramfs', 'squash', 'loaders', 'assemble'],
      {},
      { release: digestOf('newer') },
    ],
    [
      'the file system for another mksquashfs',
      ['squash', 'assemble'],
      {},
      { tools: { ...facts.tools, mksquashfs: 'mksquashfs 5' } },
    ],
    [
      'a step and what needs it where its own program changed',
      ['trim', 'facts', 'initramfs', 'squash', 'assemble'],
      {},
      { program: { ...facts.program, trim: digestOf('other program') } },
    ],
  ];
  it.each(cases)('%s', (_name, expected, changed, world) => {
    expect(redone(changed, world)).toEqual(expected);
  });
});
