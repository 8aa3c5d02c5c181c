import { architectureOf, type BootStep, isWhole } from './boot-steps.ts';
import { architectures } from './loader-by-client.ts';

/** What a rule says of a sequence that it knows. */
export interface Finding {
  readonly verdict: string;
  readonly hint: string;
  /** Since when it has stood so; milliseconds since the epoch. */
  readonly since: number;
  /** Milliseconds that the next step may take. */
  readonly patience: number;
  /** Where it is not a matter of time. */
  readonly state?: 'ready' | 'failed';
}

export type Step<K extends BootStep['kind']> = Extract<BootStep, { kind: K }>;

/** The boot so far, as the rules look at it. */
export interface Boot {
  readonly steps: readonly BootStep[];
  readonly last: BootStep;
}

/** A sequence that is recognised by its end. */
export type Rule = (boot: Boot) => Finding | undefined;

/** Milliseconds. */
export const seconds = 1000;

export function firmwareOf(steps: readonly BootStep[]): 'bios' | 'uefi' | undefined {
  return architectures[architectureOf(steps) ?? -1]?.firmware;
}

export function platformOf(steps: readonly BootStep[]): string {
  return architectures[architectureOf(steps) ?? -1]?.name ?? 'such a machine';
}

export function isHttp(step: BootStep): step is Step<'http-asked'> | Step<'http-answered'> {
  return step.kind === 'http-asked' || step.kind === 'http-answered';
}

export function fetched(
  steps: readonly BootStep[],
  what: 'kernel' | 'initramfs',
): BootStep | undefined {
  return steps.findLast(
    (s) => s.kind === 'http-answered' && s.what === what && isWhole(s.exchange),
  );
}

export function lastReport(steps: readonly BootStep[]) {
  const stages = ['kernel', 'root', 'overlay', 'ready', 'failed'];
  for (const step of steps.toReversed()) {
    const report = step.kind === 'http-answered' ? step.exchange.report : undefined;
    if (report && stages.includes(report.stage)) return { ...report, at: step.at };
  }
  return undefined;
}

export function firstOf(steps: readonly BootStep[], is: (step: BootStep) => boolean): number {
  return steps.find(is)?.at ?? 0;
}

export function settled(state: 'ready' | 'failed', since: number) {
  return { state, since, patience: 0 } as const;
}
