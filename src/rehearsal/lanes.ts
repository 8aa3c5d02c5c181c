import type { Event } from '../state/event.ts';
import type { Sample } from './outages.ts';
import type { Lane, Span } from './result.ts';

/** When a guest was switched off or on. */
export interface PowerChange {
  readonly at: number;
  readonly power: 'on' | 'off';
}

/** A node's stages over time, as the boot server heard of them, and when it had no power. */
export function nodeLane(
  name: string,
  events: readonly Event[],
  power: readonly PowerChange[],
  end: number,
): Lane {
  const changes = [
    ...power.map(({ at, power: now }) => ({ at, state: now === 'off' ? 'off' : 'absent' })),
    ...events.flatMap((event) => {
      const state = stateAfter(event);
      return state === undefined ? [] : [{ at: event.at, state }];
    }),
  ].sort((a, b) => a.at - b.at);
  // What was on its way when the plug was pulled says nothing of a machine without power.
  const lasting = changes.filter((change, i) => {
    const last = changes.slice(0, i + 1).findLast((c) => c.state === 'off' || c.state === 'absent');
    return last?.state !== 'off' || change.state === 'off';
  });
  return { name, spans: toSpans(lasting, end) };
}

function stateAfter(event: Event): string | undefined {
  switch (event.kind) {
    case 'dhcp-offered':
      return 'dhcp';
    case 'loader-sent':
      return 'loader';
    case 'script-sent':
      return 'script';
    case 'stage':
      return event.stage === 'alive' ? undefined : event.stage;
    case 'silent':
      return 'silent';
    default:
      return undefined;
  }
}

/** When an address answered and when it did not; nothing where nobody asked for a second. */
export function targetLane(name: string, samples: readonly Sample[]): Lane {
  const spans: Span[] = [];
  for (const { at, took, problem } of [...samples].sort((a, b) => a.at - b.at)) {
    const state = problem === '' && took < 1_000 ? 'answers' : 'no answer';
    const last = spans.at(-1);
    const goesOn = last && at - last.to < 1_000;
    if (last && goesOn && last.state === state) spans[spans.length - 1] = { ...last, to: at };
    else {
      if (last && goesOn) spans[spans.length - 1] = { ...last, to: at };
      spans.push({ from: at, to: at + 100, state });
    }
  }
  return { name, spans };
}

/** When records were acknowledged and when a second or more went by without one; nothing where none were written. */
export function recordLane(name: string, times: readonly number[]): Lane {
  const spans: Span[] = [];
  for (const at of [...times].sort((a, b) => a - b)) {
    const last = spans.at(-1);
    const gap = last ? at - last.to : 0;
    if (last && gap < 1_000) spans[spans.length - 1] = { ...last, to: at };
    else {
      // Two proofs of one volume have minutes between them.
      if (last && gap < longestPause) spans.push({ from: last.to, to: at, state: 'no answer' });
      spans.push({ from: at, to: at + 100, state: 'answers' });
    }
  }
  return { name, spans };
}

/** Milliseconds. */
const longestPause = 120_000;

function toSpans(
  changes: readonly { readonly at: number; readonly state: string }[],
  end: number,
): readonly Span[] {
  return changes
    .filter((change, i) => changes[i - 1]?.state !== change.state)
    .map((change, i, all) => ({
      from: change.at,
      to: all[i + 1]?.at ?? end,
      state: change.state,
    }))
    .filter((span) => span.to > span.from);
}
