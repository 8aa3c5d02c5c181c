import { healthSchema, nodeDetailSchema, nodeStatusSchema } from '../http/api-schemas.ts';
import { describeAge } from '../http/console-page.ts';
import type { Hardware, NodeStatus } from '../state/event.ts';
import type { NodeDetail } from '../state/node-status.ts';
import { fetchAdmin } from './admin-client.ts';
import { type GlobalOptions, type RegisterCommand, say } from './command.ts';
import { registerNodeEdit } from './node-edit.ts';
import { renderTable } from './table.ts';

interface AskOptions {
  readonly server?: string;
}

/** Adds `node`: where machines stand, and edits of their role files. */
export const register: RegisterCommand = (program, globals) => {
  const node = program.command('node').description('the machines: where they stand, what they are');
  node
    .command('ls')
    .description('where every node and spare stands')
    .option('--server <url>', 'ask this server; else the one of the state folder')
    .action(async (options: AskOptions) => {
      const answer = await fetchAdmin(globals(), '/api/v1/nodes', options.server);
      const nodes = nodeStatusSchema.array().parse(answer);
      say(globals().json ? JSON.stringify(nodes, null, 2) : renderNodes(nodes, Date.now()));
      await warnOfServer(globals(), options.server);
    });
  node
    .command('show <name>')
    .description('one node: its boot step by step, its hardware')
    .option('--server <url>', 'ask this server; else the one of the state folder')
    .action(async (name: string, options: AskOptions) => {
      const path = `/api/v1/nodes/${encodeURIComponent(name)}`;
      const detail = nodeDetailSchema.parse(await fetchAdmin(globals(), path, options.server));
      say(
        globals().json
          ? JSON.stringify([detail], null, 2)
          : renderNode(detail as NodeDetail, Date.now()),
      );
    });
  registerNodeEdit(node, globals);
};

/** What is wrong with the server itself, for people's eyes. */
async function warnOfServer(globals: GlobalOptions, server: string | undefined): Promise<void> {
  const health = healthSchema.parse(await fetchAdmin(globals, '/api/v1/health', server));
  if (health.problem === '') return;
  const { hint } = health.state;
  process.stderr.write(`rolecall: warning: ${health.problem}${hint ? `; ${hint}` : ''}\n`);
}

/** Nodes as a table; the reason stands last, where it may be long. */
export function renderNodes(nodes: readonly NodeStatus[], now: number): string {
  if (nodes.length === 0) return 'no role file yet, and no machine has asked';
  return renderTable(
    ['name', 'role', 'stage', 'since', 'address', 'mac', 'boot set', 'reason'],
    nodes.map((n) => [
      n.name,
      n.role.join(','),
      n.stage,
      n.since ? describeAge(now - Date.parse(n.since)) : '-',
      n.address || '-',
      n.mac.join(','),
      n.bootSet.slice(0, 12) || '-',
      n.reason,
    ]),
  );
}

/** One node as lines of `key  value`. */
export function renderNode(node: NodeDetail, now: number): string {
  const age = (iso: string) => `${iso} (${describeAge(now - Date.parse(iso))} ago)`;
  const lines: [string, string][] = [
    ['name', node.name],
    ['role', node.role.join(', ')],
    ...(node.nextRole ? [['next role', node.nextRole.join(', ')] as [string, string]] : []),
    ['stage', node.reason ? `${node.stage}: ${node.reason}` : node.stage],
    ['since', node.since ? age(node.since) : 'never seen'],
    ['last seen', node.lastSeen ? age(node.lastSeen) : 'never'],
    ['address', node.address || '-'],
    ...(node.knownBy === undefined
      ? []
      : [['known by', node.knownBy.join(', ')] as [string, string]]),
    ['mac', node.mac.join(', ') || '-'],
    ...(node.port === undefined ? [] : [['switch port', node.port] as [string, string]]),
    ['boot set', node.bootSet || '-'],
    ...(node.due
      ? [['newest set', `${node.due.bootSet}, by ${node.due.kind}`] as [string, string]]
      : []),
    ['image', node.image || '-'],
    ...renderSteps(node),
    ...(node.hardware ? renderHardware(node.hardware) : []),
  ];
  const width = Math.max(...lines.map(([key]) => key.length));
  return lines.map(([key, value]) => `${key.padEnd(width)}  ${value}`).join('\n');
}

function renderSteps({ steps }: NodeDetail): [string, string][] {
  const first = Date.parse(steps[0]?.at ?? '');
  return steps.map(({ stage, at }) => {
    const seconds = ((Date.parse(at) - first) / 1000).toFixed(1);
    return [`  ${stage}`, `${at.slice(11, 23)}  +${seconds} s`];
  });
}

function renderHardware(hardware: Hardware): [string, string][] {
  return [
    [
      'machine',
      `${hardware.product}, serial ${hardware.serial || 'unknown'}, ${hardware.firmware}`,
    ],
    ['uuid', hardware.uuid || '-'],
    ['processor', `${hardware.cpus} × ${hardware.cpu}`],
    ['memory', `${hardware.memory} MiB`],
    ...hardware.disks.map((d): [string, string] => [
      'disk',
      `${d.name} ${(d.bytes / 1e9).toFixed(1)} GB ${d.model}`.trim(),
    ]),
    ...hardware.nics.map((n): [string, string] => ['nic', `${n.name} ${n.mac} ${n.driver}`]),
  ];
}
