import type { BuildEvent } from './execute-build.ts';
import type { ImageDefinition } from './image-definition.ts';
import { allPackages, type PackageLock } from './package-lock.ts';
import type { PackageSupply } from './package-supply.ts';
import { chainOf } from './plan-build.ts';
import { findUpdates, type SecurityUpdate } from './security-updates.ts';

/** A lock that is insisted on grows old: says what the suite's security archive has beyond it. */
export async function lookForUpdates(
  supply: PackageSupply,
  lock: PackageLock,
  {
    definition,
    onEvent,
  }: {
    readonly definition: ImageDefinition;
    readonly onEvent: (event: BuildEvent) => void;
  },
): Promise<readonly SecurityUpdate[]> {
  const foreign = allPackages(lock).flatMap((of) =>
    of.architecture === 'all' ? [] : of.architecture,
  );
  const available = await supply.securityPackages([...new Set([lock.architecture, ...foreign])]);
  if (!available) {
    const text = `no mirror of ${lock.suite}-security answers: whether the lock lacks security updates is not known`;
    onEvent({ kind: 'warning', text });
    return [];
  }
  const updates = findUpdates(lock, available);
  if (updates.length > 0) {
    const takes = chainOf(definition).map(({ name }) => `rolecall build ${name} --update`);
    const lines = updates.map(({ package: name, from, to }) => `\n  ${name} ${from}, now ${to}`);
    const text = `${lock.suite} has security updates that the lock does not hold (${takes.join(', then ')} takes them):${lines.join('')}`;
    onEvent({ kind: 'warning', text });
  }
  return updates;
}
