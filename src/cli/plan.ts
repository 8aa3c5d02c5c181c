import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { identifyMachine } from '../boot/identify-machine.ts';
import { nodeArchitecture } from '../boot/node-architecture.ts';
import { type FileChange, type FollowPlan, planFollow } from '../boot/plan-follow.ts';
import type { Digest } from '../digest.ts';
import { AppError } from '../errors.ts';
import { bootSchema, nodeDetailSchema, nodeStatusSchema } from '../http/api-schemas.ts';
import { openImageStore } from '../images/image-store.ts';
import { parseMac } from '../net/mac.ts';
import { count, renderProblems } from '../render-problems.ts';
import { type Fleet, rolesOf, spareNode } from '../roles/fleet.ts';
import { loadFleet } from '../roles/load-fleet.ts';
import type { OverlayFile } from '../roles/overlay-file.ts';
import { readOverlay } from '../roles/read-overlay.ts';
import { partnersOf } from '../server/follow-order.ts';
import { prepareBootSet } from '../server/prepare-boot-set.ts';
import { describePlan } from '../server/render-follow.ts';
import { suggestion } from '../site/did-you-mean.ts';
import { sortProblems } from '../site/parse-site.ts';
import type { SiteNode } from '../site/site.ts';
import { overlayFile } from '../state/overlays.ts';
import { runProgram } from '../system/run-program.ts';
import { fetchAdmin } from './admin-client.ts';
import { type GlobalOptions, type RegisterCommand, say } from './command.ts';
import { renderTable } from './table.ts';

/** What the site would do to a machine that runs; a row of `plan --json`. */
interface NodePlan {
  /** Its name in this site; the one that it runs by where this site does not know it. */
  readonly name: string;
  /**
   * `nothing`: it runs what this site says. `reload`: its agent brings it there as it runs. `reboot`: only a boot does.
   * `refused`: this site gives it no boot set.
   */
  readonly change: 'nothing' | 'reload' | 'reboot' | 'refused';
  /** What acts, or why it takes a reboot, in words. */
  readonly how: string;
  /** Nodes that it takes turns with: one at a time, a backup before its master. */
  readonly partners: readonly string[];
  readonly files: readonly FileChange[];
  /** Digests of the boot set that it runs and of the one that it would; empty where there is none. */
  readonly runs: string;
  readonly next: string;
}

interface Compared {
  readonly row: NodePlan;
  readonly before: readonly OverlayFile[];
  readonly after: readonly OverlayFile[];
}

/** `rolecall plan`: what a site would change on the machines that run, before it is in force. */
export const register: RegisterCommand = (program, globals) => {
  program
    .command('plan')
    .description('what this site would change on running nodes, and whether by reload or reboot')
    .argument('[node]', 'show what changes in its files, line by line')
    .action(async (name: string | undefined) => {
      const compared = await compareAll(globals());
      const rows = compared.map(({ row }) => row);
      if (name === undefined) {
        say(globals().json ? JSON.stringify(rows, null, 2) : renderPlan(rows));
        return;
      }
      const one = compared.find(({ row }) => row.name === name);
      if (!one) {
        const names = rows.map((row) => row.name);
        const hint = suggestion(name, names, 'running nodes');
        throw new AppError('usage', `no running node is called ${name}`, hint);
      }
      say(globals().json ? JSON.stringify([one.row], null, 2) : await renderNode(one));
    });
};

async function compareAll(globals: GlobalOptions): Promise<readonly Compared[]> {
  const loaded = await loadFleet(globals.site);
  if (!loaded.ok) throw new AppError('invalid-site', renderProblems(sortProblems(loaded.problems)));
  const statuses = nodeStatusSchema.array().parse(await fetchAdmin(globals, '/api/v1/nodes'));
  const running = statuses.filter(({ stage }) => stage === 'ready' || stage === 'failed');
  const compared: Compared[] = [];
  for (const { name } of running) {
    const found = await compareNode(globals, loaded.value, name);
    if (found) compared.push(found);
  }
  for (const { name } of statuses.filter(({ stage }) => stage === 'absent')) {
    const found = await stillAnother(globals, name);
    if (found) compared.push(found);
  }
  return compared.toSorted((a, b) => (a.row.name < b.row.name ? -1 : 1));
}

/** A node whose machine was heard of, and still runs as the spare or the node that it was before. */
async function stillAnother(globals: GlobalOptions, name: string): Promise<Compared | undefined> {
  const answer = await fetchAdmin(globals, `/api/v1/nodes/${encodeURIComponent(name)}`);
  const { lastSeen, reason: how } = nodeDetailSchema.parse(answer);
  if (lastSeen === '') return undefined;
  return bare({ name, change: 'reboot', how, partners: [], files: [], runs: '', next: '' });
}

async function compareNode(
  globals: GlobalOptions,
  fleet: Fleet,
  name: string,
): Promise<Compared | undefined> {
  const answer = await fetchAdmin(globals, `/api/v1/boots/${encodeURIComponent(name)}`);
  const [boot] = bootSchema.array().parse(answer);
  if (!boot) return undefined;
  const { runs } = boot;
  const node = nodeOf(fleet, name, boot.machine);
  if (!node) {
    const row = { name, change: 'refused', how: 'this site names it no more' } as const;
    return bare({ ...row, partners: [], files: [], runs: runs.digest, next: '' });
  }
  const image = await openImageStore(globals.state).resolve(node.image, nodeArchitecture);
  const prepared = await prepareBootSet(fleet, node, image);
  const known = { name: node.name, runs: runs.digest, partners: partnersOf(fleet.site, node.name) };
  if (!prepared.ok) {
    const how = prepared.problems.map(({ message }) => message).join('; ');
    return bare({ ...known, change: 'refused', how, files: [], next: '' });
  }
  const next = prepared.set.digest;
  if (next === runs.digest) {
    return bare({ ...known, change: 'nothing', how: 'runs it already', files: [], next });
  }
  const before = await filesOf(globals.state, runs.overlay.digest as Digest);
  const rules = rolesOf(fleet, node).flatMap((role) => role.reload);
  const plan: FollowPlan = before
    ? planFollow({ set: runs, files: before }, prepared, rules)
    : { kind: 'reboot', changes: [], reasons: ['the files of what it runs are not kept'] };
  const row: NodePlan = {
    ...known,
    change: plan.kind === 'follow' ? 'reload' : 'reboot',
    how: describePlan(plan),
    files: plan.changes,
    next,
  };
  return { row, before: before ?? [], after: prepared.files };
}

function bare(row: NodePlan): Compared {
  return { row, before: [], after: [] };
}

/** The node that a machine is by this site: by its MAC, else by its name. */
function nodeOf({ site }: Fleet, name: string, machine: string): SiteNode | undefined {
  const mac = parseMac(machine);
  const today = mac ? identifyMachine(site, { mac }) : undefined;
  if (today?.kind === 'node') return today.node;
  const byName = site.nodes.get(name);
  if (byName) return byName;
  return mac && today?.kind === 'spare' ? spareNode(today.name, mac) : undefined;
}

/** The files of what a node runs; undefined where the server keeps them no more. */
async function filesOf(state: string, overlay: Digest) {
  try {
    return readOverlay(await readFile(overlayFile(state, overlay)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function renderPlan(rows: readonly NodePlan[]): string {
  if (rows.length === 0) return 'no node runs; each boots with this site when it is switched on';
  const changing = rows.filter(({ change }) => change !== 'nothing');
  const same = rows.length - changing.length;
  const verb = same === 1 ? 'runs' : 'run';
  const rest = same === 0 ? [] : [`${count(same, 'node')} ${verb} this site already`];
  if (changing.length === 0) return rest.join('');
  const table = renderTable(
    ['node', 'change', 'how', 'turns with'],
    changing.map(({ name, change, how, partners }) => [
      name,
      change,
      how,
      change === 'reload' ? partners.join(', ') : '',
    ]),
  );
  const turns = changing.some(({ change, partners }) => change === 'reload' && partners.length > 0)
    ? ['those with turns follow one at a time: a backup first, its master when the backup works']
    : [];
  return [table, '', ...turns, ...rest].join('\n').trimEnd();
}

/** What `diff -u` says of each file; a link by where it leads. */
async function renderNode({ row, before, after }: Compared): Promise<string> {
  const head = `${row.name}: ${row.change} (${row.how})`;
  const folder = await mkdtemp(join(tmpdir(), 'rolecall-plan-'));
  const sides = { before: join(folder, 'before'), after: join(folder, 'after') };
  try {
    const parts: string[] = [];
    for (const { path, change } of row.files) {
      await writeFile(sides.before, textOf(before, path));
      await writeFile(sides.after, textOf(after, path));
      const labels = [
        ...['--label', change === 'added' ? '/dev/null' : `runs${path}`],
        ...['--label', change === 'removed' ? '/dev/null' : `site${path}`],
      ];
      const args = ['--unified', ...labels, sides.before, sides.after];
      const { stdout } = await runProgram('diff', args, { accept: [1] });
      parts.push(stdout.trimEnd() || `${path}: only its owner or mode ${change}`);
    }
    return [head, ...parts].join('\n');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function textOf(files: readonly OverlayFile[], path: string): string | Uint8Array {
  const file = files.find((one) => one.path === path);
  if (!file) return '';
  return file.kind === 'symlink' ? `-> ${file.target}\n` : file.content;
}
