import { setTimeout as sleep } from 'node:timers/promises';
import type { VolumeStatus } from '../http/volume-status.ts';
import { fetchVolumes } from '../lab/boot-server.ts';
import type { Holders, VolumeProof, VolumeToMake } from './plan-rehearsal.ts';
import { longestGap, type RecordWriter, startRecordWriter } from './record-writer.ts';
import {
  comeBack,
  lastLine,
  power,
  type Run,
  returnLimit,
  since,
  tell,
  waitAllReady,
  waitReady,
} from './run.ts';

/**
 * Makes volumes on the lab's blank disks while their nodes boot, and proves that both copies are the same and
 * that the client has it mounted; the names of those for which that is so.
 */
export async function makeVolumes(
  run: Run,
  volumes: readonly VolumeToMake[],
): Promise<ReadonlySet<string>> {
  const made = new Set<string>();
  run.isMaking = volumes.length > 0;
  for (const volume of volumes) {
    const { name, nodes, client, at } = volume;
    const from = Date.now();
    const mounted = client === undefined ? '' : `, and ${client} mounts it`;
    const title = `volume ${name} is made on ${nodes.join(' and ')}${mounted}`;
    const problem = await make(run, volume).catch((error: Error) => lastLine(error.message));
    if (problem === '') made.add(name);
    tell(run, {
      group: 'volume',
      title,
      outcome: problem === '' ? 'passed' : 'failed',
      seconds: since(from),
      detail: problem || (client === undefined ? '' : `${client} has it at ${at}`),
    });
  }
  run.isMaking = false;
  run.lastGood = Date.now();
  return made;
}

async function make(run: Run, { name, client, at }: VolumeToMake): Promise<string> {
  const patience = run.patience;
  const reported = await until(patience, async () => {
    const { nodes } = await status(run, name);
    return nodes.every(({ report }) => report?.survey?.state === 'blank' || report?.disk);
  });
  if (!reported) return 'its nodes did not say that their disks are blank';
  await run.lab.rolecall('volume', 'create', name, '--yes');
  const inStep = await until(patience, async () => {
    const { nodes } = await status(run, name);
    return (
      nodes.every(({ report }) => report?.disk === 'UpToDate') &&
      nodes.some(({ report }) => report?.serving)
    );
  });
  if (!inStep) return 'its two copies did not come to be the same';
  return client === undefined ? '' : waitMounted(run, { client, at });
}

/** Waits until the client has the volume where the site says; empty, or that it has not. */
async function waitMounted(
  run: Run,
  { client, at }: Pick<VolumeProof, 'client' | 'at'>,
): Promise<string> {
  const mounted = await until(run.patience, async () => {
    const mounts = await run.lab.ssh(client, `grep ' ${at} nfs' /proc/mounts || true`);
    return mounts.trim() !== '';
  });
  return mounted ? '' : `${client} did not mount it at ${at}`;
}

/** Pulls the plug of the node that leads while a client of each volume writes, and switches it on again. */
export async function proveVolumeLoss(
  run: Run,
  { nodes, volumes }: Holders,
  made: ReadonlySet<string>,
): Promise<void> {
  const names = volumes.map(({ name }) => name).join(', ');
  const what = `pair that holds ${names}`;
  const told = { group: 'loss', seconds: 0 } as const;
  const skip = (detail: string) =>
    tell(run, { ...told, title: `loss of one of the ${what}`, outcome: 'not tried', detail });
  const missing = volumes.find(({ name }) => !made.has(name));
  if (missing) return skip(`volume ${missing.name} is not there with both nodes there`);
  const unready = await waitAllReady(run, [...nodes, ...volumes.map(({ client }) => client)]);
  if (unready !== '') return skip(unready);
  const writers = new Map<VolumeProof, RecordWriter>();
  try {
    for (const volume of volumes) {
      const problem = await waitMounted(run, volume);
      if (problem !== '') return skip(problem);
      const file = `${volume.at}/.rolecall-rehearsal`;
      writers.set(volume, await startRecordWriter(run.lab, volume.client, volume.name, file));
    }
  } catch (error) {
    return skip((error as Error).message);
  }
  await sleep(3_000);
  const leader = await leaderOf(run, volumes[0]?.name ?? '').catch(() => undefined);
  const victim = leader ?? nodes[0] ?? '';
  const lost = Date.now();
  await power(run, victim, 'off', what);
  const late = await lateVolumes(writers, lost);
  const loss = await describeGaps(writers, lost);
  tell(run, {
    ...told,
    title: `loss of ${victim}, one of the ${what}`,
    outcome: late.length === 0 ? 'passed' : 'failed',
    seconds: since(lost),
    detail: late.length === 0 ? loss.text : `no write after ${comeBack} s on ${late.join(', ')}`,
  });

  const back = Date.now();
  await power(run, victim, 'on', what);
  const reason = (await waitReady(run, victim, back)) || (await waitInStep(run, volumes));
  await sleep(3_000);
  const after = await describeGaps(writers, back);
  const good = reason === '' && after.longest < returnLimit(run) * 1_000;
  tell(run, {
    ...told,
    title: `return of ${victim}, one of the ${what}`,
    outcome: good ? 'passed' : 'failed',
    seconds: since(back),
    detail: reason === '' ? after.text : `${reason}; ${after.text}`,
  });
  for (const [volume, writer] of writers) await proveRecords(run, volume, writer);
}

/** Every record that was acknowledged through loss and return is in the file. */
async function proveRecords(run: Run, { name, client }: VolumeProof, writer: RecordWriter) {
  const from = Date.now();
  const told = {
    group: 'loss',
    title: `volume ${name}: every write that ${client} was told is done is found`,
  } as const;
  try {
    const { times, lost } = await writer.stop();
    run.records.set(name, [...(run.records.get(name) ?? []), ...times]);
    tell(run, {
      ...told,
      outcome: lost.length === 0 ? 'passed' : 'failed',
      seconds: since(from),
      detail:
        lost.length === 0
          ? `${times.length} records`
          : `${lost.length} of ${times.length} records are lost, the first is ${lost[0]}`,
    });
  } catch (error) {
    const { message } = error as Error;
    tell(run, { ...told, outcome: 'failed', seconds: since(from), detail: message });
  }
}

/** The volumes on which nothing was written for as long as a service may be away. */
async function lateVolumes(
  writers: ReadonlyMap<VolumeProof, RecordWriter>,
  from: number,
): Promise<readonly string[]> {
  const late: string[] = [];
  for (const [{ name }, writer] of writers) {
    // A write that was under way when the plug was pulled says nothing.
    const goesOn = await until(comeBack - since(from), async () => {
      await sleep(1_000);
      const times = await writer.times();
      return times.filter((at) => at > from + 1_000).length > 20 && Date.now() - from > 15_000;
    });
    if (!goesOn) late.push(name);
  }
  return late;
}

async function waitInStep(run: Run, volumes: readonly VolumeProof[]): Promise<string> {
  for (const { name } of volumes) {
    const inStep = await until(run.patience, async () => {
      const { nodes } = await status(run, name);
      return nodes.every(({ report, outdated }) => report?.disk === 'UpToDate' && !outdated);
    });
    if (!inStep) return `volume ${name} did not come to two equal copies again`;
  }
  return '';
}

async function describeGaps(writers: ReadonlyMap<VolumeProof, RecordWriter>, from: number) {
  const all = [];
  for (const [{ name }, writer] of writers) {
    const times = await writer.times();
    const last = times.at(-1) ?? 0;
    all.push({ name, gap: longestGap(times, from, last > from ? last : Date.now()) });
  }
  all.sort((a, b) => b.gap - a.gap);
  const texts = all.map(({ name, gap }) => `${name} ${(gap / 1_000).toFixed(1)} s without a write`);
  return { longest: all[0]?.gap ?? 0, text: texts.join('; ') };
}

async function status({ lab }: Run, name: string): Promise<VolumeStatus> {
  const volumes = await fetchVolumes(lab.lab.adminSocket);
  const volume = volumes.find((v) => v.name === name);
  if (!volume) throw new Error(`the boot server knows no volume ${name}`);
  return volume;
}

/** Who serves it now; undefined where nobody does. */
async function leaderOf(run: Run, name: string): Promise<string | undefined> {
  const { nodes } = await status(run, name);
  return nodes.find(({ report }) => report?.serving)?.name;
}

async function until(seconds: number, done: () => Promise<unknown>): Promise<boolean> {
  for (const end = Date.now() + seconds * 1_000; Date.now() < end; await sleep(500)) {
    if (await done().catch(() => false)) return true;
  }
  return false;
}
