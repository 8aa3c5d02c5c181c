import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Digest } from '../digest.ts';
import { AppError } from '../errors.ts';
import { openImageStore } from '../images/image-store.ts';
import { loadSite } from '../site/load-site.ts';
import type { Event, NodeStatus, Stage } from '../state/event.ts';
import { runProgram } from '../system/run-program.ts';
import { chooseAccelerator } from './accelerator.ts';
import { fetchEvents } from './boot-server.ts';
import { type Capture, startCapture } from './capture.ts';
import { type CableState, type Lab, startLab } from './lab.ts';
import {
  type LabFolder,
  labFolder,
  prepareLabSite,
  prepareLabState,
  prepareLabStateOf,
} from './lab-folder.ts';
import { ensureImage, type LabImage, labImageOf } from './lab-image.ts';
import { planNetwork } from './network-plan.ts';
import type { Accelerator } from './qemu-args.ts';
import { connectThroughRelay, startForward } from './relay.ts';
import { bootsAtOnce, switchOnInTurn } from './switch-on.ts';
import { defaultMemory, type GuestHardware, planGuests } from './vm-spec.ts';

/** What a scenario wants to start with. */
export interface ScenarioOptions {
  /** For its report. */
  readonly name: string;
  /** State folder whose image is booted; it is built there where it is not yet. */
  readonly images: string;
  /**
   * Digests of images of that folder that nodes boot, published there or not, in place of the one that is
   * built; the first is the one whose kernel and ROMs try the host.
   */
  readonly boot?: readonly [Digest, ...Digest[]];
  /** The site to copy. */
  readonly site: string;
  /** Changes the copy before anything starts. */
  readonly edit?: (siteFolder: string) => Promise<void>;
  /** Names of guests to start; all where absent. */
  readonly only?: readonly string[];
  /** Leaves every guest off until the scenario starts it. */
  readonly off?: boolean;
  /** Machines that no role file names; none where absent. */
  readonly spares?: number;
  /** Names of guests with UEFI firmware; none where absent. */
  readonly uefi?: readonly string[];
  /** Hardware other than the usual, by name of the guest. */
  readonly hardware?: Readonly<Record<string, GuestHardware>>;
  /** How many disks besides those of its volumes a guest has, by name. */
  readonly spareDisks?: Readonly<Record<string, number>>;
  /** MiB of each guest. */
  readonly memory?: number;
  /** How guests run; as a try shows where absent. */
  readonly accelerator?: Accelerator;
  /** Whether guests are switched on a few at a time, as many as the processors carry; all at once where absent. */
  readonly inTurn?: boolean;
  /** A folder of its own for the lab, taken away before and after; a new one where absent. */
  readonly folder?: string;
  /** Where folders of scenarios that failed are kept; they go with the scenario where absent. */
  readonly keep?: string;
  /** Takes one line at a time of what happens. */
  readonly report: (line: string) => void;
}

/** A lab with the means to drive and to judge it. */
export interface Scenario {
  readonly lab: Lab;
  /** The working copy of the site. */
  readonly site: string;
  /**
   * Waits until the node is in the stage and gives back its row. A boot that has not come to it in
   * `seconds` is reported with its console log, and tried once more where `retry` is left on.
   */
  waitStage(
    node: string,
    stage: Stage,
    options?: { readonly seconds?: number; readonly retry?: boolean },
  ): Promise<NodeStatus>;
  /** Waits until the node is ready by a boot that began after `since`, milliseconds of the epoch. */
  waitBoot(node: string, since: number, seconds?: number): Promise<NodeStatus>;
  row(node: string): Promise<NodeStatus>;
  events(node: string): Promise<readonly Event[]>;
  /** Whether something listens on a node's TCP port: `open`, or the errno of the refusal. */
  tcp(node: string, port: number): Promise<string>;
  /** A port of the host's loopback that leads to a node's port, until the scenario ends. */
  port(node: string, port: number): Promise<number>;
  /** The answer of the node's web server. */
  http(node: string, path: string): Promise<{ readonly status: number; readonly body: string }>;
  /**
   * Runs a shell command on the node as root, by ssh with the lab's key; its standard output.
   * Fails where it takes longer than `seconds`, 60 where absent.
   */
  ssh(node: string, command: string, seconds?: number): Promise<string>;
  /** All that the serial console said since the guest was switched on. */
  console(node: string): Promise<string>;
  /** Runs `rolecall` on the lab's site and state, as an operator would; its standard output. */
  rolecall(...args: readonly string[]): Promise<string>;
  reboot(node: string): Promise<void>;
  /** Pulls the plug. */
  kill(node: string): Promise<void>;
  /** Switches the node's machine on, with the disks as it left them. */
  start(node: string): Promise<void>;
  /** Stops the node's processors, as a hypervisor that stalls; it knows nothing of it afterwards. */
  pause(node: string): Promise<void>;
  resume(node: string): Promise<void>;
  /** Cuts or mends the node's cables to a network: one of its cards there, counted from 0, or all. */
  link(node: string, network: string, state: CableState, card?: number): Promise<void>;
  /** The raw image of the node's disk; to be written only while the node is off. */
  disk(node: string, serial: string): Promise<string>;
  /** Plugs a client machine with this address into a network of the site; it goes with the lab. */
  host: Lab['host'];
  /**
   * Starts to record what goes over a network, the boot network where absent, and passes the
   * pcap-filter(7), all where absent.
   */
  capture(name: string, filter?: string, network?: string): Promise<Capture>;
  /** Seconds from `since` to each stage of the node's boots after it. */
  stageTimes(node: string, since: number): Promise<Readonly<Record<string, number>>>;
}

/** A first boot takes 20 to 40 s alone, and up to 90 s where four share two cores. */
const patience = 180;

/**
 * Brings a lab up in a folder of its own, runs the scenario and takes all down again, whatever happened.
 * A scenario that fails leaves the console logs in its report, and its folder where it is to be kept.
 */
export async function withLab<T>(
  options: ScenarioOptions,
  run: (scenario: Scenario) => Promise<T>,
): Promise<T> {
  const { report } = options;
  const start = Date.now();
  const folder = labFolder(options.folder ?? (await mkdtemp(join(tmpdir(), 'rc-lab-'))));
  await rm(folder.root, { recursive: true, force: true });
  const stops: (() => Promise<void>)[] = [];
  try {
    await prepareLabSite(folder, options.site, true);
    await options.edit?.(folder.site);
    const image = await prepareImage(options, folder);
    const loaded = await loadSite(folder.site);
    if (!loaded.ok) throw new AppError('invalid-site', JSON.stringify(loaded.problems, null, 2));
    const guests = planGuests(loaded.value, {
      spares: options.spares ?? 0,
      uefi: options.uefi ?? [],
      hardware: options.hardware ?? {},
      memory: options.memory ?? defaultMemory,
      spareDisks: options.spareDisks ?? {},
      ...(options.only ? { only: options.only } : {}),
    });
    const accelerator = options.accelerator ?? (await chooseAccelerator(image.kernel)).accelerator;
    const atOnce = options.inTurn ? bootsAtOnce(accelerator) : guests.length;
    const inTurn = guests.map(({ name }) => name).slice(atOnce);
    const lab = await startLab(
      folder,
      {
        network: planNetwork(loaded.value, guests),
        guests,
        off: options.off ? guests.map((guest) => guest.name) : inTurn,
        vips: [],
        accelerator,
        roms: image.roms,
        ports: 'free',
      },
      () => {},
    );
    stops.push(() => lab.stop());
    const over = new AbortController();
    stops.push(async () => over.abort());
    const turns = switchOnInTurn(lab, { guests, inTurn, atOnce }, () => {}, over.signal);
    const result = await Promise.race([
      run(scenarioOf(lab, options, stops)),
      // Its failure is the scenario's; its end is nobody's.
      turns.then(() => new Promise<never>(() => {})),
    ]);
    await stopAll(stops);
    await rm(folder.root, { recursive: true });
    report(`${options.name}: ${seconds(start)} s under ${accelerator}`);
    return result;
  } catch (error) {
    report(`${options.name}: failed after ${seconds(start)} s: ${(error as Error).message}`);
    await stopAll(stops);
    if (options.keep !== undefined) {
      await mkdir(options.keep, { recursive: true });
      const kept = join(options.keep, `${options.name.replaceAll(/\W+/g, '-')}-${start}`);
      await cp(folder.root, kept, {
        recursive: true,
        // Neither sockets nor the image, which is only linked to.
        filter: (path) => !path.endsWith('.sock') && !path.endsWith('/images'),
      });
      report(`its logs are kept in ${kept}`);
    }
    await rm(folder.root, { recursive: true, force: true });
    throw error;
  }
}

/** Sees to it that the lab's server has the images that its machines shall boot. */
async function prepareImage(
  { images, boot, report }: ScenarioOptions,
  folder: LabFolder,
): Promise<LabImage> {
  if (!boot) {
    const image = await ensureImage(images, folder.site, (event) => {
      if (event.kind === 'step-started') report(`building the image: ${event.step.kind}`);
    });
    await prepareLabState(folder, images);
    return image;
  }
  const store = openImageStore(images);
  const image = await store.read(boot[0]);
  if (!image) throw new AppError('no-such-image', `no image ${boot[0]} in the store`);
  await prepareLabStateOf(folder, images, boot);
  return labImageOf(store, image);
}

function scenarioOf(lab: Lab, options: ScenarioOptions, stops: (() => Promise<void>)[]): Scenario {
  const { folder, adminSocket, network } = lab;
  const { report } = options;

  const row = async (node: string) => {
    const rows = await lab.status();
    const found = rows.find((r) => r.name === node);
    if (found) return found;
    throw new AppError(
      'lab-unknown-node',
      `no node ${node}: ${rows.map((r) => r.name).join(', ')}`,
    );
  };
  const console = async (node: string) =>
    readFile(join(folder.guest(await lab.guestName(node)), 'console.log'), 'utf8');
  const addresses = new Map<string, string>();
  /** As the boot server says, or as it said before it was stopped. */
  const addressOf = async (node: string) => {
    const address = await row(node).then(
      (now) => now.address,
      (error: unknown) => {
        const known = addresses.get(node);
        if (known === undefined) throw error;
        return known;
      },
    );
    addresses.set(node, address);
    return address;
  };
  const macOf = async (node: string) => {
    const [mac] = (await row(node)).mac;
    return mac as Event['machine'];
  };
  const events = async (node: string) => fetchEvents(adminSocket, await macOf(node));
  const ports = new Map<string, number>();
  const port = async (node: string, guestPort: number) => {
    const address = await addressOf(node);
    const key = `${address}:${guestPort}`;
    const known = ports.get(key);
    if (known !== undefined) return known;
    const forward = await startForward(0, () =>
      connectThroughRelay(network.relaySocket, address, guestPort),
    );
    stops.push(() => forward.stop());
    ports.set(key, forward.port);
    return forward.port;
  };

  /** Polls until `arrived` gives a row; undefined when the time is over. */
  const poll = async (limit: number, arrived: () => Promise<NodeStatus | undefined>) => {
    for (const end = Date.now() + limit * 1000; Date.now() < end; await sleep(500)) {
      const found = await arrived().catch(() => undefined);
      if (found) return found;
    }
    return undefined;
  };
  const keepConsole = async (node: string, why: string) => {
    const text = await console(node).catch(() => '(no console log)');
    const tail = text.split('\n').slice(-40).join('\n');
    report(`${node}: ${why}; the end of its console:\n${tail}`);
    await writeFile(join(folder.root, `failed-${node}-${Date.now()}.log`), text);
  };
  const lateBoot = async (node: string, what: string) => {
    const now = await row(node).catch(() => undefined);
    return new AppError(
      'lab-late',
      `${node} is not ${what}: ${now ? `${now.stage} ${now.reason}` : 'it is unknown'}`,
    );
  };
  const reboot = async (node: string) => lab.reboot(await lab.guestName(node));

  /** Polls for what `arrived` gives; a boot that does not come to it is reported and tried once more. */
  const waitFor = async (
    node: string,
    what: string,
    limit: number,
    retry: boolean,
    arrived: () => Promise<NodeStatus | undefined>,
  ): Promise<NodeStatus> => {
    const first = await poll(limit, arrived);
    if (first) return first;
    await keepConsole(node, `not ${what} after ${limit} s`);
    if (!retry) throw await lateBoot(node, what);
    report(`RETRY: ${node} is reset and tried once more`);
    await reboot(node);
    const second = await poll(limit, arrived);
    if (second) return second;
    await keepConsole(node, `not ${what} at the second try either`);
    throw await lateBoot(node, what);
  };
  const waitStage: Scenario['waitStage'] = (node, stage, wish = {}) =>
    waitFor(node, stage, wish.seconds ?? patience, wish.retry ?? true, async () => {
      const now = await row(node);
      return now.stage === stage ? now : undefined;
    });
  const waitBoot: Scenario['waitBoot'] = (node, since, limit = patience) =>
    waitFor(node, 'ready after a new boot', limit, true, async () => {
      const now = await row(node);
      if (now.stage !== 'ready' || Date.parse(now.since) < since) return undefined;
      const scripts = (await events(node)).filter((e) => e.kind === 'script-sent');
      return scripts.some((script) => script.at >= since) ? now : undefined;
    });

  return {
    lab,
    site: folder.site,
    waitStage,
    waitBoot,
    row,
    events,
    tcp: async (node, guestPort) => {
      const reached = await connectThroughRelay(
        network.relaySocket,
        await addressOf(node),
        guestPort,
      );
      if (reached.kind === 'open') reached.socket.destroy();
      return reached.kind === 'open' ? 'open' : reached.reason;
    },
    port,
    http: async (node, path) => {
      const answer = await fetch(`http://127.0.0.1:${await port(node, 80)}${path}`);
      return { status: answer.status, body: await answer.text() };
    },
    ssh: async (node, command, limit = 60) => {
      const { stdout } = await runProgram(
        'ssh',
        [
          ...['-i', folder.key, '-p', String(await port(node, 22))],
          ...['-o', 'BatchMode=yes', '-o', 'ConnectTimeout=20', '-o', 'LogLevel=ERROR'],
          ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
          ...['root@127.0.0.1', command],
        ],
        { timeout: limit * 1000 },
      );
      return stdout;
    },
    console,
    rolecall: async (...args) => {
      const program = resolve(import.meta.dirname, '../../bin/rolecall');
      const { stdout } = await runProgram(program, [
        ...['--site', folder.site, '--state', folder.state],
        ...args,
      ]);
      return stdout;
    },
    reboot,
    kill: async (node) => lab.kill(await lab.guestName(node)),
    start: async (node) => lab.start(await lab.guestName(node)),
    pause: async (node) => lab.pause(await lab.guestName(node)),
    resume: async (node) => lab.resume(await lab.guestName(node)),
    link: async (node, ...cable) => lab.link(await lab.guestName(node), ...cable),
    disk: async (node, serial) => lab.disk(await lab.guestName(node), serial),
    host: lab.host,
    capture: (name, filter, on) => {
      const bridge = lab.plan.network.bridges.find((b) =>
        on === undefined ? b.address !== undefined : b.network === on,
      );
      return startCapture(network, bridge?.name ?? '', join(folder.root, `${name}.pcap`), filter);
    },
    stageTimes: async (node, since) => {
      const times: Record<string, number> = {};
      for (const event of await events(node)) {
        if (event.at < since) continue;
        const stage = event.kind === 'stage' ? event.stage : event.kind;
        times[stage] ??= (event.at - since) / 1000;
      }
      return times;
    },
  };
}

async function stopAll(stops: (() => Promise<void>)[]): Promise<void> {
  for (const stop of stops.splice(0).reverse()) await stop();
}

function seconds(since: number): string {
  return ((Date.now() - since) / 1000).toFixed(1);
}
