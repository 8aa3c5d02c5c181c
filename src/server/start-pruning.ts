import type { State } from '../state/state.ts';
import type { Generation } from './generation.ts';

/** Milliseconds between prunings of what is too old. */
const interval = 3_600_000;

/** Forgets every hour what is too old and no boot needs; gives back what ends that. */
export function startPruning(
  state: Pick<State, 'prune'>,
  generation: () => Pick<Generation, 'overlays'>,
  log: (line: string) => void,
): () => void {
  const timer = setInterval(() => {
    try {
      state.prune(Date.now(), generation().overlays());
    } catch (error) {
      const why = error instanceof Error ? error.message : error;
      log(`state: what is too old is not deleted: ${why}`);
    }
  }, interval);
  return () => clearInterval(timer);
}
