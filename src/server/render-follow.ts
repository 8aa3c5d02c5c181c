import type { BootSet } from '../boot/boot-set.ts';
import type { FollowPlan } from '../boot/plan-follow.ts';
import { count } from '../render-problems.ts';

/** Reasons that are told: a new role changes a hundred files. */
const mostReasons = 3;

/** What a plan means for a node, in an operator's words. */
export function describePlan(plan: FollowPlan): string {
  if (plan.kind === 'reboot') {
    const more = plan.reasons.length - mostReasons;
    const some = plan.reasons.slice(0, mostReasons).join('; ');
    return more > 0 ? `${some}; and ${more} more` : some;
  }
  const files = count(plan.changes.length, 'file');
  const acts = plan.actions.map(({ action, unit }) => `${action} ${unit}`);
  return acts.length === 0 ? `${files}, no unit has to act` : `${acts.join(', ')} (${files})`;
}

/**
 * What the agent of a node does to follow to `set`: a line for the overlay, one for each file to write or
 * to remove, for each check, and for each unit. Read by roles/base/files/usr/lib/rolecall/agent.
 */
export function renderSteps(
  { overlay }: BootSet,
  { changes, checks, actions }: Extract<FollowPlan, { kind: 'follow' }>,
): string {
  const lines = [
    `overlay ${overlay.digest} ${overlay.size}`,
    ...changes.map(({ path, change }) => `${change === 'removed' ? 'remove' : 'write'} ${path}`),
    ...checks.map((check) => `check ${check}`),
    ...actions.map(({ action, unit }) => `${action} ${unit}`),
  ];
  return `${lines.join('\n')}\n`;
}
