import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { createVolumePath } from '../http/admin-app.ts';
import { volumeStatusSchema } from '../http/api-schemas.ts';
import type { VolumeStatus } from '../http/volume-status.ts';
import { type CreatePlan, type PairMember, planCreate } from '../volumes/plan-create.ts';
import { fetchAdmin, postAdmin } from './admin-client.ts';
import { type GlobalOptions, type RegisterCommand, say } from './command.ts';
import { confirm } from './confirm.ts';
import { renderTable } from './table.ts';

/** Adds `volume`: replicated storage, made and looked at. */
export const register: RegisterCommand = (program, globals) => {
  const volume = program
    .command('volume')
    .description('replicated storage: make it, see how it is');
  volume
    .command('create <name>')
    .description('make a volume on the disks that the site names; shows them and asks')
    .option('--force', 'overwrite what is on the disks')
    .option('--yes', 'do not ask; for scripts that know the disks')
    .action(async (name: string, options: { force?: boolean; yes?: boolean }) => {
      await createVolume(globals(), name, options.force === true, options.yes === true);
    });
  volume
    .command('status [name]')
    .description('who leads each volume, and how both copies are')
    .option('--server <url>', 'ask this server; else the one of the state folder')
    .action(async (name: string | undefined, options: { server?: string }) => {
      const volumes = await fetchVolumes(globals(), options.server);
      const wanted = name === undefined ? volumes : [volumeOf(volumes, name)];
      say(globals().json ? JSON.stringify(wanted, null, 2) : renderVolumes(wanted));
    });
};

async function fetchVolumes(
  globals: GlobalOptions,
  server?: string,
): Promise<readonly VolumeStatus[]> {
  const answer = await fetchAdmin(globals, '/api/v1/volumes', server);
  return volumeStatusSchema.array().parse(answer) as VolumeStatus[];
}

function volumeOf(volumes: readonly VolumeStatus[], name: string): VolumeStatus {
  const found = volumes.find((volume) => volume.name === name);
  if (found) return found;
  const names = volumes.map((volume) => volume.name).join(', ');
  throw new AppError(
    'unknown-volume',
    `the site has no volume ${name}`,
    names === '' ? 'name it under volumes: in site.yaml' : `there are ${names}`,
  );
}

async function createVolume(
  globals: GlobalOptions,
  name: string,
  force: boolean,
  yes: boolean,
): Promise<void> {
  const { volume, plan } = await planSoon(globals, name, force);
  if (plan.kind === 'refuse') {
    throw new AppError('volume-refused', `${plan.reasons.join('\n')}`, plan.hint);
  }
  say(renderPlan(volume, plan));
  if (!yes) await confirm(name);
  const disks = Object.fromEntries(plan.overwrite.map(({ node, token }) => [node, token]));
  const answer = await postAdmin(globals, createVolumePath(encodeURIComponent(name)), {
    ...{ force, disks },
  });
  const { order } = z.object({ order: z.string() }).parse(answer);
  await followOrder(globals, name, order);
}

/** Milliseconds that a pair which has just started may take to look at its disks. */
const surveyPatience = 120_000;

/** What creating it would do, once both nodes have looked at their disks. */
async function planSoon(globals: GlobalOptions, name: string, force: boolean) {
  const end = Date.now() + surveyPatience;
  let told = '';
  for (;;) {
    const volume = volumeOf(await fetchVolumes(globals), name);
    const plan = planCreate(pairOf(volume), force);
    const isEarly = plan.kind === 'refuse' && plan.isEarly && Date.now() < end;
    if (!isEarly) return { volume, plan };
    told = tell(`waiting: ${plan.reasons.join('; ')}`, told);
    await sleep(1000);
  }
}

/** Says a line of progress that differs from the one before; gives it back. */
function tell(line: string, before: string): string {
  if (line !== before) process.stderr.write(`${line}\n`);
  return line;
}

/** The pair of a volume as the server last heard it. */
function pairOf({ nodes }: VolumeStatus): readonly [PairMember, PairMember] {
  const [first, second] = nodes.map(({ name, report }) => ({ node: name, report }));
  if (!first || !second) throw new Error('a volume has two nodes');
  return [first, second];
}

/** What would be overwritten, disk by disk. */
export function renderPlan(
  { name, device }: Pick<VolumeStatus, 'name' | 'device'>,
  plan: Exclude<CreatePlan, { kind: 'refuse' }>,
): string {
  const rows = plan.overwrite.map(({ node, survey }) => [
    node,
    device,
    `${(survey.bytes / 1e9).toFixed(1)} GB`,
    survey.model || 'no model known',
    survey.state === 'blank' ? 'blank' : `HOLDS ${survey.found}`,
  ]);
  const end =
    plan.source === undefined
      ? 'The volume begins empty.'
      : `The copy of ${plan.source} stays, and goes over to the new disk.`;
  return `Volume ${name}: ALL that is on ${plan.overwrite.length === 1 ? 'this disk' : 'these disks'} is overwritten:\n${renderTable(['node', 'disk', 'size', 'model', 'now'], rows)}\n${end}`;
}

async function followOrder(globals: GlobalOptions, name: string, id: string): Promise<void> {
  let told = '';
  for (;;) {
    const { order } = volumeOf(await fetchVolumes(globals), name);
    if (order?.id !== id) {
      throw new AppError(
        'volume-order-lost',
        'the boot server knows nothing of it any more: was it restarted?',
        'rolecall volume status shows how far it came',
      );
    }
    if (order.state === 'failed') throw new AppError('volume-failed', order.why);
    if (order.state === 'done') {
      return say(
        `volume ${name} is made; its clients mount it by themselves as soon as it is served`,
      );
    }
    told = tell(order.step, told);
    await sleep(500);
  }
}

/** Volumes as lines; both copies of each in the order of the site. */
export function renderVolumes(volumes: readonly VolumeStatus[]): string {
  if (volumes.length === 0) return 'the site has no volumes';
  return renderTable(
    ['volume', 'node', 'does', 'copy', 'connection', 'done', 'what to mind'],
    volumes.flatMap((volume) =>
      volume.nodes.map(({ name, report, heard, outdated }) => [
        volume.name,
        name,
        report === undefined
          ? '-'
          : report.serving
            ? 'serves'
            : name === volume.leader
              ? 'begins'
              : 'waits',
        report?.disk || '-',
        report?.connection || '-',
        report && report.done < 100 ? `${report.done} %` : '-',
        remark(volume, name, report, heard, outdated),
      ]),
    ),
  );
}

function remark(
  volume: VolumeStatus,
  node: string,
  report: VolumeStatus['nodes'][number]['report'],
  heard: string,
  outdated: boolean,
): string {
  if (report === undefined) return heard === '' ? 'never reported' : `silent since ${heard}`;
  if (report.problem !== '') return report.problem;
  if (volume.order?.state === 'running') return `is being made: ${volume.order.step}`;
  if (report.survey?.state === 'blank' && report.disk === '') {
    return `not made yet: rolecall volume create ${volume.name}`;
  }
  if (report.survey?.state === 'absent' && report.disk === '') return 'there is no such disk';
  if (report.survey && report.disk === '')
    return `disk ${report.survey.state}: ${report.survey.found}`;
  if (report.suspended) return 'writes wait for the other copy or the witness';
  if (outdated) return `older than the copy of the other node`;
  if (report.disk === '' && !report.survey) return 'its disk is being looked at';
  return report.serving || node === volume.leader ? volume.vip.join(', ') : '';
}
