import { digestOf } from '../../../src/digest.ts';
import type { AdminService, Change, SiteProblem } from '../../../src/http/admin-service.ts';
import type { VolumeStatus } from '../../../src/http/volume-status.ts';
import { diagnoseBoot } from '../../../src/pxe/diagnose-boot.ts';
import { packPcap } from '../../../src/pxe/pcap.ts';
import type { Hardware } from '../../../src/state/event.ts';
import type { RunStage } from '../../../src/state/fold-events.ts';
import type { NodeDetail } from '../../../src/state/node-status.ts';
import type { WriteTrouble } from '../../../src/state/write-watch.ts';
import { dhcpIn, dhcpOut, tftpEnd } from '../dhcp/wire-packets.ts';

/** The moment at which the samples are looked at: now, in whole seconds. */
export const sampleNow = Math.floor(Date.now() / 1000) * 1000;

const order = ['dhcp', 'loader', 'script', 'kernel', 'root', 'overlay', 'ready'] as const;
const seconds = [0, 1.2, 2.1, 5.4, 9.8, 10.6, 20.5];

/** A node in that stage, with everything that belongs to it. */
export function sampleNode(
  name: string,
  number: number,
  stage: NodeDetail['stage'],
  facts: Partial<NodeDetail> = {},
): NodeDetail {
  const reached = stage === 'failed' || stage === 'silent' ? 'ready' : stage;
  const start = sampleNow - 40_000 - number * 61_000;
  const steps = order
    .slice(0, order.indexOf(reached as RunStage & (typeof order)[number]) + 1)
    .map((s, i) => ({ stage: s, at: new Date(start + (seconds[i] ?? 0) * 1000).toISOString() }));
  const booted = steps.length > 2;
  return {
    name,
    role: ['web'],
    mac: [`52:54:00:00:00:${number.toString(16).padStart(2, '0')}`],
    address: `10.77.0.${number}`,
    stage,
    reached,
    since: steps.at(-1)?.at ?? '',
    lastSeen: steps.at(-1)?.at ?? '',
    steps,
    bootSet: booted ? digestOf(`set of ${name}`) : '',
    image: booted ? digestOf('image') : '',
    bootId: booted ? digestOf(name).slice(0, 32) : '',
    reason: '',
    spare: false,
    ...facts,
  };
}

export const sampleHardware: Hardware = {
  cpu: 'AMD EPYC 7313P 16-Core Processor',
  cpus: 32,
  memory: 131072,
  disks: [
    { name: 'nvme0n1', bytes: 960197124096, model: 'SAMSUNG MZQL2960HCJR' },
    { name: 'nvme1n1', bytes: 960197124096, model: 'SAMSUNG MZQL2960HCJR' },
  ],
  nics: [
    { name: 'eno1', mac: '52:54:00:00:00:33', driver: 'ixgbe' },
    { name: 'eno2', mac: '52:54:00:00:00:34', driver: 'ixgbe' },
  ],
  serial: 'S4M7Q1X',
  uuid: '4c4c4544-0034-4d10-8037-b3c04f515831',
  product: 'Supermicro AS-1014S-WTRT',
  firmware: 'uefi',
};

/** A spare that has reported its hardware. */
export function sampleSpare(number: number): NodeDetail {
  const name = `spare-5254000000${number.toString(16).padStart(2, '0')}`;
  return sampleNode(name, number, 'ready', {
    role: ['spare'],
    spare: true,
    hardware: sampleHardware,
  });
}

const copy = {
  ...{ at: 90.25, role: 'Primary', peerRole: 'Secondary', connection: 'SyncSource' },
  ...{ disk: 'UpToDate', peerDisk: 'Inconsistent', done: 42.5, suspended: false, serving: true },
  ...{ fence: false, release: false, met: true, problem: '' },
};

/** A volume whose second node has just come back. */
export const sampleVolumes: readonly VolumeStatus[] = [
  {
    name: 'www',
    leader: 'nfs1',
    device: '/dev/disk/by-id/virtio-www',
    at: '/srv/www',
    vip: ['10.77.0.110'],
    nodes: [
      { name: 'nfs1', heard: new Date(sampleNow).toISOString(), outdated: false, report: copy },
      {
        name: 'nfs2',
        heard: new Date(sampleNow).toISOString(),
        outdated: true,
        report: {
          ...copy,
          ...{ role: 'Secondary', peerRole: 'Primary', connection: 'SyncTarget' },
          ...{ disk: 'Inconsistent', peerDisk: 'UpToDate', serving: false },
        },
      },
    ],
    order: { id: '0123456789abcdef', state: 'done', why: '', step: '' },
  },
];

/** An admin service over values that a test may change; `change` tells whoever listens. */
export function sampleService(nodes: readonly NodeDetail[] = []) {
  const listeners = new Set<(change: Change) => void>();
  const held: {
    nodes: readonly NodeDetail[];
    problem: SiteProblem | undefined;
    trouble: WriteTrouble | undefined;
  } = { nodes, problem: undefined, trouble: undefined };
  const service: AdminService = {
    facts: () => ({ version: '0.1.0', site: 'tokyo', generation: 7, startedAt: sampleNow }),
    nodes: () => held.nodes,
    events: () => [],
    boots: () => [],
    lastBoot: (machine) => {
      const packets = [
        dhcpIn('discover', { at: sampleNow }),
        dhcpOut('offer', { at: sampleNow + 4 }),
        tftpEnd({ file: 'boot/loader/ipxe.efi', outcome: 'delivered' }, { at: sampleNow + 9 }),
      ];
      const diagnosis = diagnoseBoot(packets, sampleNow + 60_000);
      return { machine, at: sampleNow + 60_000, packets, dropped: 0, diagnosis };
    },
    capture: () => packPcap([]),
    volumes: () => sampleVolumes,
    heldImages: () => [{ image: digestOf('image'), nodes: ['web1', 'web2'] }],
    siteProblem: () => held.problem,
    writeTrouble: () => held.trouble,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return {
    service,
    held,
    listeners,
    change(change: Change) {
      for (const listener of listeners) listener(change);
    },
  };
}
