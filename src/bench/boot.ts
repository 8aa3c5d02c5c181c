import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import type { Compression } from '../images/image-definition.ts';
import { openImageStore } from '../images/image-store.ts';
import { loadImageDefinition } from '../images/load-image-definition.ts';
import { labFolder } from '../lab/lab-folder.ts';
import { ensureImage } from '../lab/lab-image.ts';
import type { Scenario } from '../lab/scenario.ts';
import { withLab } from '../lab/with-lab.ts';
import { overlaysOf } from '../state/overlays.ts';
import { runProgram } from '../system/run-program.ts';
import type { Benchmark, BenchPlace } from './benchmark.ts';
import { makePeerFiles, type PeerFiles, serveLive } from './boot-peers.ts';
import { type Boot, bootTogether, type ChangeArguments } from './boot-runs.ts';
import { type BootedNode, bootedNodes, writeBootSite } from './boot-site.ts';
import { middleBoot, type NamedBoots, renderStages, stagesOf } from './boot-stages.ts';
import { alone, compare, type Figure, round } from './figure.ts';
import { needPeers } from './need-peers.ts';
import { describePacking, type PackedImage, packOtherwise } from './packed-images.ts';

/** How often each kind boots alone. */
const rounds = 3;
/** MiB of every machine, ours and the peers'. */
const memory = 1024;

const packings: readonly Compression[] = [
  { type: 'zstd', level: 3 },
  { type: 'lz4', level: undefined },
  { type: 'xz', level: undefined },
];

export const boot: Benchmark = {
  name: 'boot',
  about:
    'machines in QEMU from power-on until their service answers; beside the same root on a disk, and live-boot',
  async run(report, place) {
    const programs = await needPeers(
      ...(['mmdebstrap', 'mksquashfs', 'unsquashfs', 'mkfs.ext4', 'dnsmasq', 'nginx'] as const),
    );
    const folder = await mkdtemp(join(tmpdir(), 'rolecall-bench-'));
    try {
      const bench = await prepare(folder, place, report);
      const { site, state, packed, nodes } = bench;
      const [first] = packed;
      if (!first) throw new Error('no image was packed');
      return await withLab(
        {
          ...{ name: 'boots', images: state, site, memory, report, switchOn: 'by-scenario' },
          boot: [first.image.digest, ...packed.slice(1).map(({ image }) => image.digest)],
          keep: join(tmpdir(), 'rolecall-bench-failed'),
        },
        async (scenario) => {
          report('making the disk, the squashfs and the initrd of the peers');
          const peers = await preparePeers(bench, scenario, programs);
          const kinds = [
            ...packed.map((one) => ours(one, nodes, scenario)),
            peers.disk,
            peers.live,
          ] as const;
          await bootAll(kinds, nodes, place.rounds ?? rounds, report);
          if (place.pictures !== undefined) await drawStages(place.pictures, kinds);
          return figuresOf(kinds, packed, scenario.lab.plan.accelerator);
        },
      );
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

interface Bench {
  readonly folder: string;
  readonly site: string;
  /** State folder with the images. */
  readonly state: string;
  readonly packed: readonly PackedImage[];
  readonly compression: Compression;
  readonly nodes: readonly BootedNode[];
}

async function prepare(
  folder: string,
  place: BenchPlace,
  report: (line: string) => void,
): Promise<Bench> {
  const site = join(folder, 'site');
  await writeBootSite(site, []);
  const { builds } = labFolder(join(place.state, 'lab'));
  report('building the image, where it is not built yet');
  await ensureImage(builds, site, () => {});
  const definition = await loadImageDefinition(site, 'universal');
  const store = openImageStore(builds);
  const image = await store.resolve('universal', 'amd64', 'built');
  if (!image || !definition.ok) throw new AppError('bench-failed', 'no image is built');
  const { compression } = definition.value;
  const others = packings.filter((one) => describePacking(one) !== describePacking(compression));
  report(`packing its root with ${others.map(describePacking).join(' and ')} too`);
  const state = join(folder, 'packed');
  const packed = await packOtherwise(state, store, image, compression, others);
  const nodes = bootedNodes(packed.map((one) => one.image.manifest.name));
  await writeBootSite(site, nodes);
  return { folder, site, state, packed, compression, nodes };
}

/** One way to boot, and its runs. */
interface Kind {
  readonly name: string;
  /** Switches on so many machines at once. */
  boot(count: number): Promise<readonly Boot[]>;
  /** A machine alone, each a run. */
  readonly single: Boot[];
  /** Several at once, in one run. */
  readonly together: Boot[];
}

function ours(packed: PackedImage, nodes: readonly BootedNode[], scenario: Scenario): Kind {
  const names = nodesOf(packed, nodes).map((node) => node.name);
  return {
    name: `rolecall, ${packed.packing}`,
    boot: (count) => bootTogether(scenario, names.slice(0, count)),
    ...{ single: [], together: [] },
  };
}

function nodesOf({ image }: PackedImage, nodes: readonly BootedNode[]): readonly BootedNode[] {
  return nodes.filter((node) => node.image === image.manifest.name);
}

/** Boots our node once for what the peers need of it, and makes that. */
async function preparePeers(
  { folder, state, packed, compression, nodes }: Bench,
  scenario: Scenario,
  programs: { readonly dnsmasq: string; readonly nginx: string },
): Promise<{ disk: Kind; live: Kind }> {
  const [first] = packed;
  const own = first ? nodesOf(first, nodes) : [];
  const [node] = own;
  if (!first || !node) throw new Error('no node boots');
  await scenario.start(node.name);
  await scenario.waitStage(node.name, 'ready');
  const words = (await scenario.ssh(node.name, 'cat /proc/cmdline')).trim().split(' ');
  const overlay = await overlayOf(scenario, words);
  await scenario.kill(node.name);
  const request = { folder, store: openImageStore(state), image: first.image };
  const files = await makePeerFiles({ ...request, overlay, compression });
  // What the roles and the console want; not what is of this boot.
  const ofBoot = /^(BOOT_IMAGE|BOOTIF|initrd|rolecall\.\w+)=/;
  const line = words.filter((word) => !ofBoot.test(word)).join(' ');
  const names = own.map(({ name }) => name);
  return {
    disk: {
      name: 'a disk, started directly',
      boot: (count) =>
        bootTogether(scenario, names.slice(0, count), (args) => fromDisk(args, files, line)),
      ...{ single: [], together: [] },
    },
    live: {
      name: 'live-boot',
      boot: (count) => bootLive(scenario, files, own.slice(0, count), programs, line),
      ...{ single: [], together: [] },
    },
  };
}

const fromDisk = (
  args: readonly string[],
  files: PeerFiles,
  line: string,
): ReturnType<ChangeArguments> => [
  // No firmware of the card: nothing is asked of the network.
  ...args.map((word) => word.replace(/romfile=.*/, 'romfile=')),
  ...['-drive', `if=none,id=root,format=raw,cache=unsafe,snapshot=on,file=${files.disk}`],
  ...['-device', 'virtio-blk-pci,drive=root'],
  ...['-kernel', files.kernel, '-initrd', files.initrd],
  ...['-append', `root=/dev/vda rw ${line}`],
];

/** With the peer's servers in the place of ours. */
async function bootLive(
  scenario: Scenario,
  files: PeerFiles,
  nodes: readonly BootedNode[],
  programs: { readonly dnsmasq: string; readonly nginx: string },
  line: string,
): Promise<readonly Boot[]> {
  const { lab } = scenario;
  const bridge = lab.plan.network.bridges[0]?.name ?? '';
  await lab.server().stop();
  const servers = await serveLive(lab.network, bridge, files, nodes, programs, line);
  try {
    return await bootTogether(
      scenario,
      nodes.map(({ name }) => name),
      (args) => args,
    );
  } finally {
    await servers.stop();
    await lab.restartServer('SIGTERM');
  }
}

/** The tar that the node booted with. */
async function overlayOf({ lab }: Scenario, words: readonly string[]): Promise<string> {
  const word = words.find((one) => one.startsWith('rolecall.overlay=')) ?? '';
  const digest = word.slice(word.indexOf('=') + 1, word.indexOf(':'));
  const found = await runProgram('find', [
    ...[overlaysOf(lab.folder.state), '-name', `${digest}.tar`],
  ]);
  return found.stdout.trim();
}

/** Each kind in each round, so that what else the machine does meets all; then several machines at once. */
async function bootAll(
  kinds: readonly Kind[],
  nodes: readonly BootedNode[],
  count: number,
  report: (line: string) => void,
): Promise<void> {
  for (let n = 1; n <= count; n += 1) {
    for (const kind of kinds) {
      kind.single.push(...(await kind.boot(1)));
      report(`round ${n} of ${count}, ${kind.name}: ${round(kind.single.at(-1)?.answers ?? 0)} s`);
    }
  }
  const together = nodes.filter((node) => node.image === nodes[0]?.image).length;
  for (const kind of kinds) {
    kind.together.push(...(await kind.boot(together)));
    report(`${together} at once, ${kind.name}: ${secondsOf(kind.together)}`);
  }
}

function figuresOf(
  kinds: readonly [...Kind[], Kind, Kind],
  packed: readonly PackedImage[],
  accelerator: string,
): Figure[] {
  const [disk, live] = kinds.slice(-2);
  const [own, ...others] = kinds.slice(0, -2);
  if (!own || !disk || !live) throw new Error('a kind of boot is missing');
  const one = `power-on until the service answers (${accelerator})`;
  const many = `${own.together.length} machines at once, until the last one's service answers`;
  const peers = [
    [disk, 'the same root on a local disk, started directly'],
    [live, "Debian's live-boot by the same loader"],
  ] as const;
  const rows = [
    [one, (kind: Kind) => kind.single, (boots: readonly Boot[]) => middleBoot(boots).answers],
    [many, (kind: Kind) => kind.together, lastOf],
  ] as const;
  return rows.flatMap(([what, runs, seconds]) => [
    ...peers.map(([peer, peerName]) =>
      compare(
        {
          ...{ what, peerName, unit: 's' },
          ours: round(seconds(runs(own))),
          peer: round(seconds(runs(peer))),
          bound: `${describe(runs(own))}; peer ${describe(runs(peer))}`,
        },
        'less',
      ),
    ),
    ...others.map((kind, i) =>
      alone({
        what: `${what}, root packed with ${packed[i + 1]?.packing}`,
        ours: round(seconds(runs(kind))),
        unit: 's',
        bound: `${sizeOf(packed[i + 1])}, the image's own ${sizeOf(packed[0])}; ${describe(runs(kind))}`,
      }),
    ),
  ]);
}

function lastOf(boots: readonly Boot[]): number {
  return Math.max(...boots.map(({ answers }) => answers));
}

function sizeOf(packed: PackedImage | undefined): string {
  if (!packed) return '';
  const { mebibytes, packing, seconds } = packed;
  const took = seconds === undefined ? '' : ` in ${round(seconds)} s`;
  return `${mebibytes} MiB (${packing}${took})`;
}

function secondsOf(boots: readonly Boot[]): string {
  return `${boots.map(({ answers }) => answers.toFixed(1)).join(', ')} s`;
}

function describe(boots: readonly Boot[]): string {
  const middle = middleBoot(boots);
  const stages = stagesOf(middle).map(([stage, seconds]) => `${stage} ${seconds.toFixed(1)}`);
  return `${stages.join(', ')}, processor ${middle.cpu.toFixed(1)} s (of ${secondsOf(boots)})`;
}

/** Where the seconds go, as `boot-stages.svg`. */
async function drawStages(pictures: string, kinds: readonly Kind[]): Promise<void> {
  const lanes: NamedBoots = [
    ...kinds.map((kind) => [kind.name, kind.single] as const),
    ...kinds.map(
      (kind) => [`${kind.together.length} × ${kind.name}`.slice(0, 34), kind.together] as const,
    ),
  ];
  await mkdir(pictures, { recursive: true });
  await writeFile(join(pictures, 'boot-stages.svg'), renderStages(lanes, Date.now()));
}
