/** The middle of some numbers; the mean of both middle ones where they are even in number. */
export function median(numbers: readonly number[]): number {
  return (percentile(numbers, 0.5 - 1e-9) + percentile(numbers, 0.5 + 1e-9)) / 2;
}

/** The number below or at which that share of them lies (nearest rank); 0 of none. */
export function percentile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
