import { resolve } from 'node:path';
import type { VolumeStatus } from '../../../src/http/volume-status.ts';
import { fetchVolumes } from '../../../src/lab/boot-server.ts';
import type { Scenario } from '../../../src/lab/scenario.ts';
import { until } from './processes.ts';

/** A site whose nodes nfs1 and nfs2 hold the volume www, of which web1 is a client. */
export const storageSite = resolve(import.meta.dirname, '../sites/storage');

/** The node that mounts the volume, at /srv/www. */
export const client = 'web1';

/** Where clients find the volume. */
export const vip = '10.77.0.110';

/** The other node of the pair. */
export const otherThan = (node: string) => (node === 'nfs1' ? 'nfs2' : 'nfs1');

/** What the boot server knows of the volume. */
export async function volumeOf(lab: Scenario): Promise<VolumeStatus> {
  // Not by `rolecall volume status`: asked time and again, programs that start take the guests' processors.
  const [status] = await fetchVolumes(lab.lab.adminSocket);
  if (!status) throw new Error('no volume');
  return status;
}

/** What the boot server knows of a node's copy. */
export async function copyOf(lab: Scenario, node: string): Promise<VolumeStatus['nodes'][number]> {
  const found = (await volumeOf(lab)).nodes.find(({ name }) => name === node);
  if (!found) throw new Error(`no ${node}`);
  return found;
}

/** Who serves it, once one does; a machine with too much to do may pause and hand it over at any time. */
export async function leaderOf(lab: Scenario): Promise<string> {
  let leader: string | undefined;
  await until('one serves it', 180, async () => {
    leader = (await volumeOf(lab)).nodes.find(({ report }) => report?.serving)?.name;
    return leader !== undefined;
  });
  return leader ?? '';
}

/** Resolves when both copies are connected and up to date. */
export async function bothAreWhole(lab: Scenario): Promise<void> {
  await until('both copies are up to date', 600, async () =>
    (await volumeOf(lab)).nodes.every(
      ({ report, outdated }) =>
        report?.disk === 'UpToDate' && report.connection === 'Connected' && !outdated,
    ),
  );
}

/** Resolves when both nodes say that the volume is not made yet. */
export async function bothMissIt(lab: Scenario): Promise<void> {
  for (const node of ['nfs1', 'nfs2']) {
    await until(`${node} says what is missing`, 420, async () =>
      (await lab.row(node)).reason.includes('volume www is not made yet: rolecall volume create'),
    );
  }
}

/** Resolves when the client has the volume mounted. */
export async function theClientMountsIt(lab: Scenario): Promise<void> {
  await until('the client mounts it', 240, async () =>
    (
      await lab.ssh(client, 'grep " /srv/www nfs4 " /proc/mounts || true').catch(() => '')
    ).startsWith(`${vip}:`),
  );
}

/** How many of the volume's 262144 KiB were copied to a node that came back. */
export async function copiedTo(lab: Scenario, node: string): Promise<number> {
  const said = await lab.ssh(node, "dmesg | grep -o 'will sync [0-9]* KB' | tail -n 1");
  return Number(/\d+/.exec(said)?.[0] ?? 0);
}
