import type { BuildEvent } from './execute-build.ts';
import { chainOf, type ImageDefinition } from './image-definition.ts';
import { allPackages, type PackageLock } from './package-lock.ts';
import type { PackageSupply } from './package-supply.ts';
import { keepSecurityAnswer, readSecurityAnswer, securityQuestion } from './security-answer.ts';
import { findUpdates, type SecurityUpdate } from './security-updates.ts';

export interface UpdatesRequest {
  readonly definition: ImageDefinition;
  readonly mirror?: string;
  /** Keeps what the archive said of this image's lock. */
  readonly answerFile: string;
  readonly now: () => number;
  readonly onEvent: (event: BuildEvent) => void;
}

/**
 * A lock that is insisted on grows old: says what the suite's security archive has beyond it. The archive is asked
 * again after six hours, or for another lock.
 */
export async function lookForUpdates(
  supply: Pick<PackageSupply, 'securityPackages'>,
  lock: PackageLock,
  request: UpdatesRequest,
): Promise<readonly SecurityUpdate[]> {
  const { definition, onEvent } = request;
  const updates = await askArchive(supply, lock, request);
  if (!updates) {
    const text = `no mirror of ${lock.suite}-security answers: whether the lock lacks security updates is not known`;
    onEvent({ kind: 'warning', text });
    return [];
  }
  if (updates.length > 0) {
    const takes = chainOf(definition).map(({ name }) => `rolecall build ${name} --update`);
    const lines = updates.map(({ package: name, from, to }) => `\n  ${name} ${from}, now ${to}`);
    const text = `${lock.suite} has security updates that the lock does not hold (${takes.join(', then ')} takes them):${lines.join('')}`;
    onEvent({ kind: 'warning', text });
  }
  return updates;
}

async function askArchive(
  supply: Pick<PackageSupply, 'securityPackages'>,
  lock: PackageLock,
  { mirror, answerFile, now }: UpdatesRequest,
): Promise<readonly SecurityUpdate[] | undefined> {
  const question = securityQuestion(lock, mirror);
  const kept = await readSecurityAnswer(answerFile, question, now());
  if (kept) return kept;
  const foreign = allPackages(lock).flatMap((of) =>
    of.architecture === 'all' ? [] : of.architecture,
  );
  const available = await supply.securityPackages([...new Set([lock.architecture, ...foreign])]);
  if (!available) return undefined;
  const updates = findUpdates(lock, available);
  await keepSecurityAnswer(answerFile, question, now(), updates);
  return updates;
}
