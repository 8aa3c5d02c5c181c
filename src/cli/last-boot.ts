import { AppError } from '../errors.ts';
import { type LastBootAnswer, lastBootSchema } from '../http/api-schemas.ts';
import type { MacAddress } from '../net/mac.ts';
import { fetchAdmin } from './admin-client.ts';
import type { GlobalOptions } from './command.ts';

/** A machine's last boot by the server's word, or why there is none to be had. */
export type LastBootFound =
  | { readonly kind: 'boot'; readonly boot: LastBootAnswer }
  | { readonly kind: 'unasked'; readonly reason: string };

/** Of the cards that a machine may boot by, the boot by the one that spoke last. */
export async function fetchLastBoot(
  globals: Pick<GlobalOptions, 'state'>,
  macs: readonly MacAddress[],
  server?: string,
): Promise<LastBootFound> {
  try {
    const boots = await Promise.all(
      macs.map(async (mac) =>
        lastBootSchema.parse(await fetchAdmin(globals, `/api/v1/machines/${mac}/boot`, server)),
      ),
    );
    const [boot] = boots.toSorted((a, b) => (lastAt(a) < lastAt(b) ? 1 : -1));
    return boot ? { kind: 'boot', boot } : { kind: 'unasked', reason: 'no MAC of it is known' };
  } catch (error) {
    if (error instanceof AppError) return { kind: 'unasked', reason: error.message };
    throw error;
  }
}

function lastAt(boot: LastBootAnswer): string {
  return boot.packets.at(-1)?.at ?? '';
}

/** The packets as lines with times since the first, then the verdict and what to do. */
export function renderLastBoot(found: LastBootFound): string {
  if (found.kind === 'unasked') return `  last boot  unknown: ${found.reason}`;
  const { state, verdict, hint, packets, dropped, at } = found.boot;
  const [first] = packets;
  const age = (time: string) =>
    ((Date.parse(time) - Date.parse(first?.at ?? at)) / 1000).toFixed(3);
  const lines = packets.map(
    (p) =>
      `    ${p.at.slice(11, 23)} ${`+${age(p.at)}`.padStart(9)} s  ${p.protocol.toUpperCase().padEnd(4)} ${p.direction === 'in' ? '→' : '←'} ${p.summary}`,
  );
  const gap = dropped > 0 ? [`    (${dropped} packets of its middle are not kept)`] : [];
  const isOpen = state === 'waiting' || state === 'stuck';
  const quiet = isOpen && packets.length > 0 ? ` (${age(at)} s after the first packet)` : '';
  const head = first
    ? `  last boot  ${first.at}, by ${found.boot.machine}:`
    : '  last boot  none seen:';
  return [
    head,
    ...lines,
    ...gap,
    `  verdict    ${state}: ${verdict}${quiet}`,
    ...(hint ? [`             ${state === 'waiting' ? 'if it stays so: ' : ''}${hint}`] : []),
  ].join('\n');
}
