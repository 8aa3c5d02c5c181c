import { basename } from 'node:path';
import type { Step, StepOf } from './build-step.ts';
import type { Compression } from './image-definition.ts';

/** What a step does, in words for an operator. */
export function describeStep(step: Step): string {
  switch (step.kind) {
    case 'bootstrap':
      return `install ${step.packages.length} packages of ${step.suite} ${step.architecture}`;
    case 'packages':
      return `add ${step.asked.join(', ')} (${step.packages.length} packages)`;
    case 'kernel':
      return 'take the kernel';
    case 'squash':
      return `remove what no server needs and what names this place or time, pack the root (${describeCompression(step.compression)})`;
    case 'layer':
      return `the same, and pack what differs from the layers below (${describeCompression(step.compression)})`;
    case 'customize':
      return describeCustomize(step);
    case 'facts':
      return 'list packages, units, users';
    case 'initramfs':
      return 'pack the initramfs';
    case 'loaders':
      return `take the loaders ${Object.keys(step.loaders).join(', ')}`;
    case 'assemble':
      return 'put the image into the store';
  }
}

function describeCompression({ type, level }: Compression): string {
  return level === undefined ? type : `${type}-${level}`;
}

function describeCustomize({ users, files, hooks, locale }: StepOf<'customize'>): string {
  const parts = [
    locale === undefined ? [] : `make the locale ${locale}`,
    users.length > 0 ? `add ${users.map((user) => user.name).join(', ')}` : [],
    files.length > 0 ? `copy ${files.map((rule) => basename(rule.from)).join(', ')}` : [],
    hooks.length > 0 ? `run ${hooks.map((hook) => basename(hook.run)).join(', ')}` : [],
  ];
  return parts.flat().join('; ');
}
