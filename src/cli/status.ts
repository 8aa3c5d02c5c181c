import type { z } from 'zod';
import { healthSchema, nodeStatusSchema, volumeStatusSchema } from '../http/api-schemas.ts';
import { describeAge } from '../http/console-page.ts';
import type { VolumeStatus } from '../http/volume-status.ts';
import { count } from '../render-problems.ts';
import type { NodeStatus } from '../state/event.ts';
import { isConnected } from '../volumes/volume-report.ts';
import { fetchAdmin } from './admin-client.ts';
import { type RegisterCommand, say } from './command.ts';
import { renderTable } from './table.ts';
import { renderVolumes } from './volume.ts';

/** What the server says of itself, its machines and its volumes. */
interface Status {
  readonly health: z.infer<typeof healthSchema>;
  readonly nodes: readonly NodeStatus[];
  readonly volumes: readonly VolumeStatus[];
}

/** Adds `status`: what an operator looks at first. */
export const register: RegisterCommand = (program, globals) => {
  program
    .command('status')
    .description('what needs a look: nodes that are not ready, volumes that are not whole')
    .option('--server <url>', 'ask this server; else the one of the state folder')
    .action(async ({ server }: { server?: string }) => {
      const ask = (path: string) => fetchAdmin(globals(), `/api/v1/${path}`, server);
      const status: Status = {
        health: healthSchema.parse(await ask('health')),
        nodes: nodeStatusSchema.array().parse(await ask('nodes')),
        volumes: volumeStatusSchema.array().parse(await ask('volumes')) as VolumeStatus[],
      };
      say(globals().json ? JSON.stringify([status], null, 2) : renderStatus(status, Date.now()));
    });
};

/** One line where all is well; else that and tables of what is not. */
export function renderStatus({ health, nodes, volumes }: Status, now: number): string {
  const restless = nodes.filter(({ stage, reason }) => stage !== 'ready' || reason !== '');
  const ready = nodes.filter(({ stage }) => stage === 'ready').length;
  const broken = volumes.filter((volume) => !isWhole(volume));
  const whole =
    volumes.length === 0
      ? ''
      : `, ${volumes.length - broken.length} of ${count(volumes.length, 'volume')} whole`;
  const { hint } = health.state;
  return [
    `${health.site}: ${ready} of ${count(nodes.length, 'machine')} ready${whole}; generation ${health.generation} of the site`,
    ...(health.problem === ''
      ? []
      : [`server: ${health.problem}${hint === '' ? '' : `; ${hint}`}`]),
    ...(restless.length === 0 ? [] : ['', renderRestless(restless, now)]),
    ...(broken.length === 0 ? [] : ['', renderVolumes(broken)]),
    ...(restless.length === 0 ? [] : ['', `rolecall explain ${restless[0]?.name} has more`]),
  ].join('\n');
}

function renderRestless(nodes: readonly NodeStatus[], now: number): string {
  return renderTable(
    ['name', 'role', 'stage', 'since', 'address', 'why'],
    nodes.map(({ name, role, stage, since, address, reason }) => [
      ...[name, role.join(','), stage],
      since === '' ? 'never' : describeAge(now - Date.parse(since)),
      ...[address || '-', reason],
    ]),
  );
}

/** Whether both copies are the same, and one of them is served. */
function isWhole({ nodes }: VolumeStatus): boolean {
  const isGood = ({ report }: VolumeStatus['nodes'][number]) =>
    report?.disk === 'UpToDate' && isConnected(report) && report.problem === '';
  return nodes.every(isGood) && nodes.some(({ report }) => report?.serving);
}
