/** What a Range header asks of a file. */
export type RangeDecision =
  | { readonly kind: 'whole' }
  /** First and last byte, both sent. */
  | { readonly kind: 'part'; readonly first: number; readonly last: number }
  | { readonly kind: 'unsatisfiable' };

/**
 * Reads a Range header against a file of `size` bytes (RFC 9110 §14.1.2).
 * A unit other than bytes, a malformed header and more than one range mean the whole file, as §14.2 allows.
 */
export function parseRange(header: string | undefined, size: number): RangeDecision {
  const whole = { kind: 'whole' } as const;
  const match = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(header ?? '');
  const [, from = '', to = ''] = match ?? [];
  if (!match || (from === '' && to === '')) return whole;
  if (from === '') {
    const suffix = Math.min(Number(to), size);
    return suffix === 0
      ? { kind: 'unsatisfiable' }
      : { kind: 'part', first: size - suffix, last: size - 1 };
  }
  const first = Number(from);
  const last = to === '' ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== '' && Number(to) < first) return whole;
  return first >= size ? { kind: 'unsatisfiable' } : { kind: 'part', first, last };
}
