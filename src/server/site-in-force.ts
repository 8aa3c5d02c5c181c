import type { Result } from '../errors.ts';
import type { SiteProblem } from '../http/admin-service.ts';
import { count, renderProblems } from '../render-problems.ts';
import type { Fleet } from '../roles/fleet.ts';
import type { Site } from '../site/site.ts';
import { type Generation, isSameGeneration, refusals } from './generation.ts';
import type { Journal } from './journal.ts';
import { roleChanges } from './role-changes.ts';
import {
  answersDhcp,
  checkHost,
  missingLoaders,
  problemOf,
  servedNetworks,
} from './start-checks.ts';

export interface SiteInForceParts {
  readonly first: Generation;
  readonly prepare: (fleet: Fleet, number: number) => Promise<Generation>;
  /** Keeps a site that is served, for a start at which the one on disk is broken. */
  readonly keep: (fleet: Fleet) => Promise<void>;
  readonly journal: Journal;
  readonly log: (line: string) => void;
}

/** The generation that is served, and why the site on disk is another one, where it is. */
export interface SiteInForce {
  generation(): Generation;
  problem(): SiteProblem | undefined;
  /**
   * Takes a reading of the site folder. A broken one never reaches the wire: the last good one stays.
   * Fails where the server cannot do its part, such as writing to a full disk; then it may be tried again.
   */
  accept(reading: Result<Fleet>): Promise<void>;
  /** Calls after each reading; gives back what ends that. */
  subscribe(listener: () => void): () => void;
}

/** The addresses of the server in the site, and at which of them it answers no DHCP: what is opened at the start. */
function listensAt(site: Site): string {
  return servedNetworks(site)
    .map((network) => `${network.server}${answersDhcp(network) ? '' : ' (no DHCP)'}`)
    .sort()
    .join(', ');
}

/** Starts with a generation whose checks have passed. */
export function createSiteInForce(parts: SiteInForceParts): SiteInForce {
  const { journal, log } = parts;
  const listeners = new Set<() => void>();
  let generation = parts.first;
  let problem: SiteProblem | undefined;

  /** Machines boot from what is served; that it could not be kept is no reason to serve it not. */
  async function keep(fleet: Fleet): Promise<void> {
    try {
      await parts.keep(fleet);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      log(`site: it is served, but no copy is kept for the next start: ${why}`);
    }
  }

  async function switchTo(reading: Result<Fleet>): Promise<SiteProblem | undefined> {
    if (!reading.ok) {
      const message = 'the site on disk is invalid; the last good one is served';
      return { message, problems: reading.problems };
    }
    const { site } = reading.value;
    const listens = listensAt(parts.first.fleet.site);
    if (listensAt(site) !== listens) {
      const restart = problemOf(
        `the server listens at ${listens} until it is started again`,
        'systemctl restart rolecall',
      );
      return {
        message: 'site.yaml gives the server other addresses; the last good site is served',
        problems: [...(await checkHost(site)), restart],
      };
    }
    const before = generation;
    const after = await parts.prepare(reading.value, before.number + 1);
    await keep(reading.value);
    if (isSameGeneration(before, after)) return undefined;
    generation = after;
    log(`site: generation ${after.number}, ${count(after.sets.size, 'node')}`);
    for (const refusal of refusals(after)) log(`site: ${refusal}`);
    for (const line of after.untested) log(`image: ${line}`);
    for (const { message, hint } of missingLoaders(after)) log(`site: ${message}: ${hint}`);
    for (const change of roleChanges(before.fleet.site, site, journal.machines()))
      journal.add(change);
    return undefined;
  }

  return {
    generation: () => generation,
    problem: () => problem,
    async accept(reading) {
      try {
        const before = problem && describe(problem);
        problem = await switchTo(reading);
        if (problem && describe(problem) !== before) log(`site: ${describe(problem)}`);
        if (!problem && before !== undefined) log('site: the site on disk is served again');
      } catch (error) {
        const message = 'the site on disk cannot be put in force; the last good one is served';
        const why = error instanceof Error ? error.message : String(error);
        problem = { message, problems: [problemOf(why, '')] };
        throw error;
      } finally {
        for (const listener of listeners) listener();
      }
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function describe({ message, problems }: SiteProblem): string {
  return `${message}\n${renderProblems(problems)}`;
}
