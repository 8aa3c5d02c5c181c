import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import type { Event, NodeStatus, Stage } from '../state/event.ts';
import { runProgram } from '../system/run-program.ts';
import { fetchEvents } from './boot-server.ts';
import { type Capture, startCapture } from './capture.ts';
import type { CableState, Lab } from './lab.ts';
import { connectThroughRelay, startForward } from './relay.ts';

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

/** The means to drive a running lab and to judge it. What it starts is stopped by `stops`; `report` takes a line. */
export function scenarioOf(
  lab: Lab,
  report: (line: string) => void,
  stops: (() => Promise<void>)[],
): Scenario {
  const { folder, adminSocket, network } = lab;

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
