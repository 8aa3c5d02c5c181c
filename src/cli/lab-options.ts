import { AppError } from '../errors.ts';
import type { Accelerator } from '../lab/qemu-args.ts';

/** Names separated by commas. */
export function splitNames(text: string | undefined): readonly string[] | undefined {
  return text?.split(',').filter(Boolean);
}

/** What `--accel` says; refused before an image is built for the lab. */
export function parseAccelerator(wanted: string | undefined): Accelerator | undefined {
  if (wanted === undefined || wanted === 'kvm' || wanted === 'tcg') return wanted;
  throw new AppError('usage', `--accel ${wanted} is unknown`, '--accel kvm, or --accel tcg');
}

/** A whole number from the command line, at least `least`. */
export function parseCount(option: string, text: string, least: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least) return value;
  throw new AppError(
    'usage',
    `${option} ${text} is not possible`,
    `a whole number from ${least} on`,
  );
}
