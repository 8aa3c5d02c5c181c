import { type Digest, digestOfValue } from '../digest.ts';
import type { Step, StepId, StepInputs, StepKind, StepWork } from './build-step.ts';
import type { LockedPackage } from './package-lock.ts';

/** A step whose key is not known yet. */
export interface StepDraft {
  readonly id: StepId;
  /** Steps before it whose output it reads. */
  readonly needs: readonly StepId[];
  readonly work: StepWork;
  /** What decides its output besides the work, by a name that an operator understands. */
  readonly inputs?: StepInputs;
  readonly passing?: boolean;
}

/**
 * The step with its key: a digest of its work, of the program text that does it, and of the keys of those that it
 * needs among the steps before it.
 */
export function keyStep(
  { id, needs, work, inputs: more = {}, passing = false }: StepDraft,
  before: readonly Step[],
  program: Readonly<Record<StepKind, Digest>>,
): Step {
  const base = 'from' in work ? work.from : undefined;
  const needed = needs.map((need) => [
    need === base ? 'root' : `output of ${need}`,
    before.find((step) => step.id === need)?.key,
  ]);
  const inputs = {
    ...inputsOf(work),
    ...more,
    'program text of the step': program[work.kind],
    ...Object.fromEntries(needed),
  };
  const key = digestOfValue([work.kind, inputs]);
  return { ...work, id, needs, inputs, key, ...(passing ? { passing } : {}) };
}

/** What of the work decides its output: not where something is, nor in which step's name. */
function inputsOf(work: StepWork): StepInputs {
  const { kind: _kind, ...all } = work;
  const places: readonly string[] = [
    ...['from', 'below', 'layers', 'asked', 'guestDir'],
    // Their digest decides, and not where they are.
    ...['files', 'hooks'],
  ];
  const decides = Object.entries(all).filter(([name]) => !places.includes(name));
  return Object.fromEntries(
    decides.map(([name, value]) => {
      if (name === 'packages') return [name, (value as LockedPackage[]).map(packageLine)];
      if (work.kind !== 'loaders' || name !== 'loaders') return [name, value];
      const files = Object.entries(work.loaders);
      return [name, files.map(([file, l]) => `${file} ${l.path} ${packageLine(l.package)}`)];
    }),
  );
}

function packageLine({ name, version, architecture, digest }: LockedPackage): string {
  return `${name} ${version} ${architecture} ${digest}`;
}
