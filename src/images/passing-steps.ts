import type { PlannedStep } from './build-step.ts';

/** So many packages on top of a kept root are installed again rather than kept in a root of their own. */
const fewPackages = 10;

/**
 * Of groups of packages that are installed one after the other, by how many each brings: whether the root with it
 * passes, which is to say is not kept, as packing it takes longer than installing again what came since the last
 * one that is. None passes that another image is made from: it is read again after this one was trimmed.
 */
export function whichPass(groups: readonly number[], isTop: boolean): readonly boolean[] {
  let since = 0;
  return groups.map((packages) => {
    since += packages;
    const passes = isTop && since <= fewPackages;
    if (!passes) since = 0;
    return passes;
  });
}

/** The rows of a plan, in its order, where what passes is done if a step after it is that reads it, and only then. */
export function judgePassing(rows: readonly PlannedStep[]): PlannedStep[] {
  const judged: PlannedStep[] = [];
  for (const row of rows.toReversed()) judged.unshift(judge(row, judged));
  return judged;
}

function judge(row: PlannedStep, later: readonly PlannedStep[]): PlannedStep {
  if (row.kept || !row.step.passing) return row;
  const reader = later.find((other) => other.step.needs.includes(row.step.id) && !other.kept);
  if (!reader) return { ...row, kept: true, why: '' };
  return { ...row, why: `its root is not kept, and ${reader.step.id} reads it` };
}
