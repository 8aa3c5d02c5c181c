import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/digest.ts';
import type { PlannedStep, StepId } from '../../../src/images/build-step.ts';
import { judgePassing, whichPass } from '../../../src/images/passing-steps.ts';

describe('whether the root with a group of packages passes', () => {
  const cases: [string, number[], boolean, boolean[]][] = [
    ['ten packages do', [10], true, [true]],
    ['eleven do not', [11], true, [false]],
    ['small groups together are one large one', [1, 9, 1, 1], true, [true, true, false, true]],
    ['after a root that is kept counting begins anew', [11, 10], true, [false, true]],
    ['none does that another image is made from', [1, 1], false, [false, false]],
    ['of no group there is nothing to say', [], true, []],
  ];
  it.each(cases)('%s', (_name, groups, isTop, passing) => {
    expect(whichPass(groups, isTop)).toEqual(passing);
  });
});

describe('the preview of what passes', () => {
  const row = (id: StepId, from: StepId, passing: boolean, kept: boolean): PlannedStep => ({
    step: {
      ...{ kind: 'kernel', id, from, needs: [from], key: digestOf(id), inputs: {} },
      ...(passing ? { passing } : {}),
    },
    ...{ kept, why: kept ? '' : 'never made, or not kept' },
  });
  const root = row('bootstrap', 'bootstrap', false, true);

  it('does not do it again where what reads it is kept', () => {
    const plan = [root, row('packages-2', 'bootstrap', true, false)];
    const reader = row('squash', 'packages-2', false, true);
    expect(judgePassing([...plan, reader]).map(({ kept, why }) => [kept, why])).toEqual(
      Array(3).fill([true, '']),
    );
  });

  it('does it again, each after the other, for a step that reads it and is not kept', () => {
    const rows = [
      ...[root, row('packages-2', 'bootstrap', true, false)],
      ...[row('packages-3', 'packages-2', true, false), row('squash', 'packages-3', false, false)],
    ];
    expect(judgePassing(rows).map(({ kept, why }) => [kept, why])).toEqual([
      [true, ''],
      [false, 'its root is not kept, and packages-3 reads it'],
      [false, 'its root is not kept, and squash reads it'],
      [false, 'never made, or not kept'],
    ]);
  });

  it('says why of a step that does not pass and is not there', () => {
    const rows = [
      row('packages-2', 'bootstrap', false, false),
      row('squash', 'packages-2', false, true),
    ];
    expect(judgePassing(rows)).toEqual(rows);
  });
});
