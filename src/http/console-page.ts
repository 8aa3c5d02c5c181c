import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ejs from 'ejs';
import type { Problem } from '../errors.ts';
import type { Hardware, Stage } from '../state/event.ts';
import type { NodeDetail } from '../state/node-status.ts';
import type { WriteTrouble } from '../state/write-watch.ts';
import type { ServerFacts, SiteProblem } from './admin-service.ts';

/** What the console shows, and when. */
export interface ConsoleLook {
  readonly facts: ServerFacts;
  readonly nodes: readonly NodeDetail[];
  readonly problem: SiteProblem | undefined;
  readonly trouble: WriteTrouble | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export const templatesFolder = new URL('../../templates/console/', import.meta.url);

/** The steps of the bar, left to right. */
const steps = ['dhcp', 'loader', 'script', 'kernel', 'root', 'overlay', 'ready'] as const;

/** Reads the console's templates; gives back what renders the whole page and the part of it that changes. */
export function openConsole() {
  const page = compile('page.ejs');
  const live = compile('live.ejs');
  return {
    page: (look: ConsoleLook) => page(describePage(look)),
    live: (look: ConsoleLook) => live(describePage(look)),
  };
}

/** Everything in `<%= %>` is escaped; the templates know their values as `it`. */
function compile(name: string): (page: ConsolePage) => string {
  const filename = fileURLToPath(new URL(name, templatesFolder));
  const template = ejs.compile(readFileSync(filename, 'utf8'), {
    filename,
    strict: true,
    localsName: 'it',
    rmWhitespace: true,
  });
  return (page) => template(page);
}

export interface ConsolePage {
  readonly site: string;
  readonly version: string;
  readonly generation: number;
  /** Nodes by what they need of the operator, those with a count. */
  readonly counts: readonly {
    readonly tone: Tone;
    readonly count: number;
    /** Id of the first of them. */
    readonly first: string;
  }[];
  readonly summary: string;
  readonly nodes: readonly NodeRow[];
  readonly spares: readonly SpareCard[];
  /** Why the state folder takes nothing. */
  readonly trouble:
    | { readonly message: string; readonly hint: string; readonly age: string }
    | undefined;
  readonly problem:
    | { readonly message: string; readonly lines: readonly ProblemLine[] }
    | undefined;
}

interface ProblemLine {
  readonly where: string;
  readonly message: string;
  readonly hint: string;
}

/** Colour and word of a state; the word always stands beside the colour. */
type Tone = 'ready' | 'booting' | 'failed' | 'silent' | 'absent';

interface NodeRow {
  readonly id: string;
  readonly name: string;
  readonly roles: string;
  readonly nextRoles: string;
  readonly stage: Stage;
  readonly tone: Tone;
  readonly bar: readonly BarStep[];
  /** The bar in words. */
  readonly barText: string;
  readonly since: string;
  readonly sinceText: string;
  /** `20.5 s`; empty where it is not ready or its start was not seen. */
  readonly bootTime: string;
  readonly address: string;
  readonly macs: readonly string[];
  readonly bootSet: string;
  readonly image: string;
  readonly reason: string;
  /** What the filter searches, lower case. */
  readonly words: string;
}

interface BarStep {
  readonly stage: string;
  readonly state: 'done' | 'now' | 'failed' | 'stopped' | 'ahead';
  readonly title: string;
}

interface SpareCard extends NodeRow {
  readonly hardware: readonly { readonly term: string; readonly lines: readonly string[] }[];
  /** What to paste to give it a role. */
  readonly command: string;
}

/** The page as values, before any HTML. */
export function describePage({ facts, nodes, problem, trouble, now }: ConsoleLook): ConsolePage {
  const role = commonRole(nodes);
  const all = nodes.toSorted(
    (a, b) => Number(a.spare) - Number(b.spare) || byNumber(a.name, b.name),
  );
  const named = all.filter((n) => !n.spare);
  const counts = tones.flatMap((tone) => {
    const some = all.filter((n) => toneOf(n.stage) === tone);
    return some[0] ? [{ tone, count: some.length, first: idOf(some[0]) }] : [];
  });
  return {
    site: facts.site,
    version: facts.version,
    generation: facts.generation,
    counts,
    summary: `${plural(named.length, 'node')}, ${plural(all.length - named.length, 'spare')}`,
    nodes: named.map((n) => describeNode(n, now)),
    spares: all.filter((n) => n.spare).map((n) => describeSpare(n, now, role)),
    trouble: trouble && {
      message: trouble.message,
      hint: trouble.hint,
      age: describeAge(now - trouble.since),
    },
    problem: problem && { message: problem.message, lines: problem.problems.map(describeProblem) },
  };
}

/** web2 stands before web10. */
const byNumber = new Intl.Collator('en', { numeric: true }).compare;

function idOf(node: NodeDetail): string {
  return `node-${node.name}`;
}

const tones: readonly Tone[] = ['failed', 'silent', 'booting', 'ready', 'absent'];

function toneOf(stage: Stage): Tone {
  switch (stage) {
    case 'ready':
    case 'failed':
    case 'silent':
    case 'absent':
      return stage;
    default:
      return 'booting';
  }
}

function describeNode(node: NodeDetail, now: number): NodeRow {
  const reached = steps.indexOf(node.reached as (typeof steps)[number]);
  const row = {
    id: idOf(node),
    name: node.name,
    roles: node.role.join(', '),
    nextRoles: node.nextRole?.join(', ') ?? '',
    stage: node.stage,
    tone: toneOf(node.stage),
    bar: steps.map((stage, index) => describeStep(node, stage, index, reached)),
    barText: describeBar(node, reached),
    since: node.since,
    sinceText: node.since === '' ? 'never seen' : describeAge(now - Date.parse(node.since)),
    bootTime: describeBootTime(node),
    address: node.address,
    macs: node.mac,
    bootSet: node.bootSet,
    image: node.image,
    reason: node.reason,
  };
  const searched = [row.name, row.roles, row.stage, row.tone, row.address, ...row.macs, row.reason];
  return { ...row, words: searched.join(' ').toLowerCase() };
}

function describeStep(node: NodeDetail, stage: string, index: number, reached: number): BarStep {
  const at = node.steps.find((s) => s.stage === stage)?.at;
  const title = at ? `${stage} ${clock(at)}` : stage;
  // A node failed at the step after the last one that it reached, or at its service when it was ready.
  const broken = Math.min(reached + 1, steps.length - 1);
  if (node.stage === 'failed' && index === broken) return { stage, title, state: 'failed' };
  if (index < reached) return { stage, title, state: 'done' };
  if (index > reached || reached < 0) return { stage, title, state: 'ahead' };
  if (node.stage === 'silent') return { stage, title, state: 'stopped' };
  return {
    stage,
    title,
    state: node.stage === 'ready' || node.stage === 'failed' ? 'done' : 'now',
  };
}

function describeBar(node: NodeDetail, reached: number): string {
  if (reached < 0) return 'not booted';
  const place = `step ${reached + 1} of ${steps.length}`;
  switch (node.stage) {
    case 'ready':
      return `ready, ${place}`;
    case 'failed':
      return `failed after ${node.reached}, ${place}`;
    case 'silent':
      return `silent since ${node.reached}, ${place}`;
    default:
      return `${node.stage}, ${place}`;
  }
}

function describeBootTime(node: NodeDetail): string {
  const first = node.steps[0];
  const ready = node.steps.find((s) => s.stage === 'ready');
  if (first?.stage !== 'dhcp' || !ready) return '';
  const seconds = (Date.parse(ready.at) - Date.parse(first.at)) / 1000;
  return seconds < 100 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds)} s`;
}

function describeSpare(node: NodeDetail, now: number, role: string): SpareCard {
  return {
    ...describeNode(node, now),
    hardware: [
      ...(node.hardware ? describeHardware(node.hardware) : []),
      ...(node.port === undefined ? [] : [{ term: 'Switch port', lines: [node.port] }]),
    ],
    command: `rolecall node add --mac ${node.mac[0] ?? ''} --role ${role}`,
  };
}

function describeHardware(hardware: Hardware) {
  const { cpu, cpus, memory, disks, nics, serial, product, firmware } = hardware;
  return [
    {
      term: 'Machine',
      lines: [product || 'unknown', serial ? `serial ${serial}` : 'no serial number'],
    },
    { term: 'Processor', lines: [`${cpus} × ${cpu}`] },
    { term: 'Memory', lines: [`${(memory / 1024).toFixed(1)} GiB, ${firmware.toUpperCase()}`] },
    {
      term: 'Disks',
      lines: disks.length
        ? disks.map((d) => `${d.name} ${describeBytes(d.bytes)} ${d.model}`.trim())
        : ['none'],
    },
    { term: 'Cards', lines: nics.map((n) => `${n.name} ${n.mac} ${n.driver}`) },
  ];
}

function describeProblem({ file, line, path, message, hint }: Problem): ProblemLine {
  const where = [file, line > 0 ? line : '', path].filter((part) => part !== '').join(':');
  return { where, message, hint };
}

/** The role that most nodes have: the likeliest one of a new machine. */
function commonRole(nodes: readonly NodeDetail[]): string {
  const count = new Map<string, number>();
  for (const node of nodes) {
    const role = node.spare ? undefined : node.role[0];
    if (role) count.set(role, (count.get(role) ?? 0) + 1);
  }
  return [...count].toSorted((a, b) => b[1] - a[1])[0]?.[0] ?? 'web';
}

/** `4 s`, `12 min`, `3 h`, `5 d`; negative ages count as none. */
export function describeAge(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** Decimal units, as disks are sold. */
function describeBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
  return `${(bytes / 1000 ** power).toFixed(bytes % 1000 ** power === 0 ? 0 : 1)} ${units[power]}`;
}

function clock(iso: string): string {
  return `${iso.slice(11, 19)} UTC`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
