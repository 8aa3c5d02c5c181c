import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientHost } from '../lab/client-host.ts';
import type { Scenario } from '../lab/scenario.ts';
import type { Site } from '../site/site.ts';
import { freeAddress } from './client-address.ts';
import type { PowerChange } from './lanes.ts';
import type { Sample } from './outages.ts';
import type { Mark, ProofResult } from './result.ts';

/** Seconds that a service has to come back after its node was lost, and to come up after the boots. */
export const comeBack = 60;

/** Seconds without a good word of anything after which what has failed has failed. */
const lasting = 90;

/** One run of a rehearsal: what it works on, and what it has found so far. */
export interface Run {
  readonly lab: Scenario;
  readonly site: Site;
  readonly start: number;
  /** Seconds that a boot may take. */
  readonly patience: number;
  readonly results: ProofResult[];
  readonly marks: Mark[];
  readonly power: Map<string, PowerChange[]>;
  readonly samples: Map<string, Sample[]>;
  /** When records were acknowledged, by volume; milliseconds since the epoch. */
  readonly records: Map<string, number[]>;
  readonly clients: Map<string, ClientHost>;
  readonly onResult: (result: ProofResult) => void;
  /** When a proof passed last, milliseconds since the epoch. */
  lastGood: number;
  /** Whether volumes are being made: until they are, their nodes and those that keep data on them fail. */
  isMaking: boolean;
}

/**
 * Seconds without an answer that a return may cost before it counts as an outage of its own. Under emulation
 * the machine that boots takes the processor from those that serve.
 */
export function returnLimit({ lab }: Run): number {
  return lab.lab.plan.accelerator === 'kvm' ? 3 : 10;
}

/** Seconds without a fault after which a target counts as served; an emulated one may answer once in four. */
export function steadyTime({ lab }: Run): number {
  return lab.lab.plan.accelerator === 'kvm' ? 2 : 5;
}

/** Notes what became of a proof, and tells it. */
export function tell(run: Run, result: ProofResult): void {
  if (result.outcome === 'passed') run.lastGood = Date.now();
  run.results.push(result);
  run.onResult(result);
}

/** Seconds that a boot may take where so many begin at once. */
export function bootPatience(machines: number): number {
  return 240 + 60 * machines;
}

/** Seconds since a moment. */
export const since = (at: number) => (Date.now() - at) / 1_000;

/** Waits until a node is ready by a boot after `from`; empty, or why it is not. */
export async function waitReady(run: Run, node: string, from: number): Promise<string> {
  for (; ; await sleep(500)) {
    const row = await run.lab.row(node).catch(() => undefined);
    const isNew = row !== undefined && Date.parse(row.since) >= from;
    if (isNew && row.stage === 'ready') return '';
    const hasBooted = isNew && (row.stage === 'failed' || row.stage === 'silent');
    // Roles may need one another, so what fails now may work when another has come or a volume is made.
    if (hasBooted && run.isMaking) continue;
    const isOver = hasBooted
      ? since(Math.max(Date.parse(row.since), run.lastGood)) > lasting ||
        since(Math.max(from, run.lastGood)) > run.patience
      : since(from) > run.patience;
    if (!isOver) continue;
    if (row?.stage === 'failed') return row.reason;
    return `it stopped at stage ${row?.stage ?? 'absent'}; ${row?.reason || 'see its console log'}`;
  }
}

/** Waits until all nodes are ready, for as long as a service may be away; empty, or who is not and why. */
export async function waitAllReady(run: Run, nodes: readonly string[]): Promise<string> {
  for (const from = Date.now(); ; await sleep(500)) {
    const rows = await Promise.all(nodes.map(run.lab.row)).catch(() => []);
    const unready = rows.find((row) => row.stage !== 'ready');
    if (rows.length > 0 && !unready) return '';
    if (since(from) < comeBack) continue;
    if (!unready) return 'the boot server does not answer';
    return `${unready.name} is ${unready.stage} ${unready.reason}`.trim();
  }
}

/** The last line of a program's failure or of what a program said. */
export function lastLine(text: string): string {
  const last = text.trim().split('\n').at(-1) ?? '';
  return last
    .trim()
    .replace(/^rolecall: /, '')
    .slice(0, 300);
}

/** A client machine on a network; one for each, plugged in when it is first needed. */
export async function clientOn(run: Run, network: string): Promise<ClientHost> {
  const known = run.clients.get(network);
  if (known) return known;
  const there = run.site.networks.get(network);
  const address = there && freeAddress(run.site, there);
  if (address === undefined) throw new Error(`no address is free for a client on ${network}`);
  const host = await run.lab.host(network, `client-${network}`, address);
  run.clients.set(network, host);
  return host;
}

/** Switches a node on or off, and marks it in the timeline. */
export async function power(
  run: Run,
  node: string,
  state: 'on' | 'off',
  what: string,
): Promise<void> {
  const at = Date.now();
  run.power.get(node)?.push({ at, power: state });
  run.marks.push({ at, text: `${node}, one of the ${what}, is switched ${state}` });
  await (state === 'off' ? run.lab.kill(node) : run.lab.start(node));
}
