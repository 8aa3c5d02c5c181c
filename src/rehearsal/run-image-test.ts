import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario } from '../lab/scenario.ts';
import { readyDir } from '../roles/render-overlay.ts';
import type { Site } from '../site/site.ts';
import { nodeLane } from './lanes.ts';
import { volumesToMake } from './plan-rehearsal.ts';
import { proveBoot } from './prove-boot.ts';
import { makeVolumes } from './prove-volumes.ts';
import type { Lane, Mark, ProofResult } from './result.ts';
import { bootPatience, lastLine, type Run, since, tell } from './run.ts';

/** A machine of a round as the boot server knows it, and what it shall be. */
export interface TestedGuest {
  readonly name: string;
  readonly roles: readonly string[];
}

/** What became of one role on one machine. */
export interface RoleRun {
  readonly role: string;
  readonly guest: string;
  /** Empty where its ready command found nothing wrong. */
  readonly problem: string;
}

/** What one round found. */
export interface RoundFindings {
  readonly results: readonly ProofResult[];
  readonly roles: readonly RoleRun[];
  readonly lanes: readonly Lane[];
  readonly marks: readonly Mark[];
}

/** Seconds that a ready command may take, as the node's own report gives it eight on a machine at rest. */
const readyLimit = 20;
/** How often a ready command may fail that passes then. */
const readyTries = 3;

/**
 * Waits until each machine of a lab, switched on at `start`, has booted, makes the volumes that the machines
 * hold, and runs each role's ready command on each. Never fails for what it finds; results are told as they come.
 */
export async function runImageTest(
  lab: Scenario,
  site: Site,
  guests: readonly TestedGuest[],
  start: number,
  onResult: (result: ProofResult) => void,
): Promise<RoundFindings> {
  const names = guests.map(({ name }) => name);
  const run: Run = {
    ...{ lab, site, start, onResult, lastGood: start, isMaking: false },
    ...{ patience: bootPatience(guests.length), results: [], marks: [] },
    ...{ power: new Map(), samples: new Map(), records: new Map(), clients: new Map() },
  };
  const roles: RoleRun[] = [];
  const boots = guests.map(async (guest) => {
    const reason = await proveBoot(run, guest.name, guest.roles);
    roles.push(...(await askRoles(run, guest, reason)));
  });
  // What keeps its data on a volume is ready only when that is made.
  await Promise.all([makeVolumes(run, volumesToMake(site, new Set(names))), ...boots]);
  const end = Date.now();
  const lanes = await Promise.all(
    names.map(async (name) =>
      nodeLane(name, await lab.events(name).catch(() => []), [{ at: start, power: 'on' }], end),
    ),
  );
  return { results: run.results, roles, lanes, marks: run.marks };
}

/** Runs the ready command of each role; a machine that could not be asked shows none of its roles. */
async function askRoles(
  run: Run,
  { name, roles }: TestedGuest,
  reason: string,
): Promise<readonly RoleRun[]> {
  const runs: RoleRun[] = [];
  for (const role of roles) {
    const at = Date.now();
    const problem = reason.startsWith('it stopped')
      ? reason
      : await askRole(run.lab, name, role).catch((error: Error) => lastLine(error.message));
    runs.push({ role, guest: name, problem });
    const title = `${role} works on ${name}`;
    const told = { group: 'role', title, seconds: since(at) } as const;
    tell(
      run,
      problem === ''
        ? { ...told, outcome: 'passed', detail: '' }
        : { ...told, outcome: 'failed', detail: problem },
    );
  }
  // The node itself says that something is wrong: whatever it is, it is one of its roles.
  const silent = reason !== '' && runs.every(({ problem }) => problem === '');
  return silent ? runs.map((run) => ({ ...run, problem: reason })) : runs;
}

/** Empty, or the last line of what the ready command said. */
async function askRole(lab: Scenario, name: string, role: string): Promise<string> {
  const script = `${readyDir}/${role}`;
  // A role without a ready command is ready when the node is.
  const command = `[ -x ${script} ] || exit 0
said=$(timeout -k 2 ${readyLimit} ${script} 2>&1 </dev/null) && exit 0
code=$?
echo "\${said:-its ready command ended with $code}"`;
  for (let tries = 1; ; tries += 1) {
    const said = (await lab.ssh(name, command, readyLimit + 40)).trim();
    if (said === '' || tries === readyTries) return lastLine(said);
    await sleep(5_000);
  }
}
