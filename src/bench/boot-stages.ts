import { renderTimeline } from '../rehearsal/render-timeline.ts';
import type { Lane, Span } from '../rehearsal/result.ts';
import type { Boot } from './boot-runs.ts';
import { median } from './median.ts';

/** Boots of one kind, by the name of their lane. */
export type NamedBoots = readonly (readonly [string, readonly Boot[]])[];

/** A boot of which each time is the median of all. */
export function middleBoot(boots: readonly Boot[]): Boot {
  const of = (pick: (boot: Boot) => number) => median(boots.map(pick));
  const roots = boots.flatMap(({ root }) => (root === undefined ? [] : [root]));
  return {
    answers: of((b) => b.answers),
    kernel: of((b) => b.kernel),
    init: of((b) => b.init),
    systemd: of((b) => b.systemd),
    service: of((b) => b.service),
    cpu: of((b) => b.cpu),
    ...(roots.length > 0 ? { root: median(roots) } : {}),
  };
}

/** Where the seconds went: the stages of a boot, each with its length. */
export function stagesOf(boot: Boot): readonly (readonly [string, number])[] {
  const { kernel, init, root, systemd, service, answers } = boot;
  return [
    ['firmware', kernel],
    ['kernel', init - kernel],
    ...(root === undefined
      ? ([['initramfs', systemd - init]] as const)
      : ([
          ['root', root - init],
          ['overlay', systemd - root],
        ] as const)),
    ['systemd', service - systemd],
    ['service', answers - service],
  ];
}

/** A lane for each kind of boot, in the middle of its runs, as an SVG image; `now` is the time on it. */
export function renderStages(kinds: NamedBoots, now: number): string {
  const lanes = kinds.map(([name, boots]): Lane => {
    let at = now;
    const spans = stagesOf(middleBoot(boots)).map(([state, seconds]): Span => {
      const from = at;
      at += seconds * 1000;
      return { from, to: at, state };
    });
    return { name, spans };
  });
  const end = Math.max(...lanes.flatMap((lane) => lane.spans.map((span) => span.to)));
  return renderTimeline({
    ...{ site: 'bench', title: 'Power-on until the service answers' },
    ...{ start: now, end, results: [], lanes, marks: [], notes: [] },
  });
}
