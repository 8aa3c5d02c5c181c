import { mkdir } from 'node:fs/promises';
import { AppError } from '../errors.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import { parseIpv4 } from '../net/ipv4.ts';
import type { NodeStatus } from '../state/event.ts';
import { connectAdmin, fetchStatus, type LabBootServer, startBootServer } from './boot-server.ts';
import { consolePort, type HostPort, hostPorts } from './host-ports.ts';
import type { LabFolder } from './lab-folder.ts';
import { type LabNetwork, startNetwork } from './network.ts';
import type { NetworkPlan } from './network-plan.ts';
import type { Accelerator } from './qemu-args.ts';
import { connectThroughRelay, type Forward, startForward } from './relay.ts';
import { type Roms, type RunningVm, startVm } from './vm.ts';
import type { VmSpec } from './vm-spec.ts';

/** All that a lab is made from; plain data, so that it can be handed to another process. */
export interface LabPlan {
  readonly network: NetworkPlan;
  readonly guests: readonly VmSpec[];
  readonly accelerator: Accelerator;
  readonly roms: Roms;
  /** Whether the host's ports are the ones of host-ports.ts, or any that are free. */
  readonly ports: 'known' | 'free';
}

/** A lab that runs: its network, its boot server, its guests. Ends with this process, however that ends. */
export interface Lab {
  readonly folder: LabFolder;
  readonly plan: LabPlan;
  readonly network: LabNetwork;
  /** URL of the console on the host's loopback. */
  readonly consoleUrl: string;
  readonly adminSocket: string;
  server(): LabBootServer;
  /** Ends the boot server as given, and starts it again on the same state. */
  restartServer(end: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** The guest, where it is switched on. */
  guest(name: string): RunningVm | undefined;
  /** Switches a guest on; does nothing where it is. */
  start(name: string): Promise<void>;
  /** Presses the reset button. */
  reboot(name: string): Promise<void>;
  /** Pulls the plug. */
  kill(name: string): Promise<void>;
  /** The name of the guest that a node's name means: a spare keeps its own when it becomes a node. */
  guestName(node: string): Promise<string>;
  /** The server's rows; a guest that it has not met yet is `absent`, one without power says so. */
  status(): Promise<readonly NodeStatus[]>;
  /** Where the host reaches the services of a node at this address. */
  ports(address: string): Promise<readonly HostPort[]>;
  stop(): Promise<void>;
}

/** Brings up the network, the boot server and every guest of the plan; takes all down again where one fails. */
export async function startLab(
  folder: LabFolder,
  plan: LabPlan,
  onStep: (text: string) => void,
): Promise<Lab> {
  await mkdir(folder.root, { recursive: true, mode: 0o700 });
  onStep('making the private network');
  const network = await startNetwork(plan.network, folder.root);
  const running = new Map<string, RunningVm>();
  const forwards = new Map<string, Promise<readonly HostPort[]>>();
  const listening: Forward[] = [];
  let server: LabBootServer | undefined;
  let stopping: Promise<void> | undefined;

  const stop = async () => {
    await Promise.all(listening.map((forward) => forward.stop()));
    await Promise.all([...running.values()].map((vm) => vm.kill()));
    await server?.stop();
    await network.stop();
  };
  const serve = () =>
    startBootServer({
      network,
      site: folder.site,
      state: folder.state,
      log: folder.serverLog,
    });
  const start = async (name: string) => {
    if (running.has(name)) return;
    const spec = plan.guests.find((guest) => guest.name === name);
    if (!spec) throw unknownGuest(name, plan.guests);
    const vm = await startVm(spec, {
      network,
      taps: plan.network.taps.filter((tap) => tap.guest === name).map((tap) => tap.name),
      accelerator: plan.accelerator,
      roms: plan.roms,
      folder: folder.guest(name),
    });
    running.set(name, vm);
    void vm.ended.then(() => running.get(name) === vm && running.delete(name));
  };
  const powered = (name: string): RunningVm => {
    if (!plan.guests.some((guest) => guest.name === name)) throw unknownGuest(name, plan.guests);
    const vm = running.get(name);
    if (vm) return vm;
    throw new AppError('lab-guest-off', `${name} is off`, `rolecall lab start ${name}`);
  };
  const forward = async (address: Ipv4): Promise<readonly HostPort[]> =>
    Promise.all(
      hostPorts(address).map(async (port) => {
        const opened = await startForward(plan.ports === 'known' ? port.host : 0, () =>
          connectThroughRelay(network.relaySocket, address, port.guest),
        );
        listening.push(opened);
        return { ...port, host: opened.port };
      }),
    );

  try {
    onStep('starting the boot server');
    server = await serve();
    const console = await startForward(plan.ports === 'known' ? consolePort : 0, () =>
      connectAdmin(server?.adminSocket ?? ''),
    );
    listening.push(console);
    for (const guest of plan.guests) {
      onStep(`switching on ${guest.name}`);
      await start(guest.name);
    }
    const { adminSocket } = server;
    return {
      folder,
      plan,
      network,
      consoleUrl: `http://127.0.0.1:${console.port}/`,
      adminSocket,
      server: () => {
        if (!server) throw new AppError('lab-server', 'the lab has no boot server');
        return server;
      },
      restartServer: async (end) => {
        if (server && end === 'SIGKILL') process.kill(server.pid, 'SIGKILL');
        await (end === 'SIGKILL' ? server?.ended : server?.stop());
        server = await serve();
      },
      guest: (name) => running.get(name),
      start,
      reboot: async (name) => {
        await powered(name).qmp('system_reset');
      },
      kill: async (name) => {
        await powered(name).kill();
        running.delete(name);
      },
      guestName: async (node) => {
        if (plan.guests.some((guest) => guest.name === node)) return node;
        const row = (await fetchStatus(adminSocket)).find((r) => r.name === node);
        const nics = (guest: VmSpec) => guest.nics.map((nic): string => nic.mac);
        return plan.guests.find((g) => nics(g).some((mac) => row?.mac.includes(mac)))?.name ?? node;
      },
      status: async () =>
        labStatus(await fetchStatus(adminSocket), plan.guests, (name) => running.has(name)),
      ports: (text) => {
        const address = parseIpv4(text);
        if (!address) return Promise.resolve([]);
        const known = forwards.get(address) ?? forward(address);
        forwards.set(address, known);
        return known;
      },
      stop: () => {
        stopping ??= stop();
        return stopping;
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The server's rows with the lab's knowledge: guests it has not met, and which have no power. */
export function labStatus(
  rows: readonly NodeStatus[],
  guests: readonly VmSpec[],
  hasPower: (name: string) => boolean,
): readonly NodeStatus[] {
  const guestOf = (row: NodeStatus) =>
    guests.find((g) => g.name === row.name || g.nics.some((nic) => row.mac.includes(nic.mac)));
  const unmet = guests.filter((guest) => !rows.some((row) => guestOf(row) === guest));
  return [
    ...rows.map((row) => {
      const guest = guestOf(row);
      return guest && !hasPower(guest.name) ? { ...row, reason: 'its power is off' } : row;
    }),
    ...unmet.map(
      (guest): NodeStatus => ({
        name: guest.name,
        role: [],
        mac: guest.nics.map((nic) => nic.mac),
        address: '',
        stage: 'absent',
        since: '',
        bootSet: '',
        image: '',
        reason: hasPower(guest.name) ? '' : 'its power is off',
      }),
    ),
  ];
}

function unknownGuest(name: string, guests: readonly VmSpec[]): AppError {
  return new AppError(
    'lab-unknown-guest',
    `the lab has no guest ${name}`,
    `its guests are ${guests.map((guest) => guest.name).join(', ')}`,
  );
}
