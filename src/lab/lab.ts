import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import { parseIpv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import type { NodeStatus } from '../state/event.ts';
import { runProgram } from '../system/run-program.ts';
import { connectAdmin, fetchStatus, type LabBootServer, startBootServer } from './boot-server.ts';
import { type ClientHost, startClientHost } from './client-host.ts';
import { consolePort, type HostPort, hostPorts } from './host-ports.ts';
import { type LabFolder, requireSocketPaths } from './lab-folder.ts';
import { type LabNetwork, startNetwork } from './network.ts';
import type { LabTap, NetworkPlan } from './network-plan.ts';
import type { Accelerator } from './qemu-args.ts';
import { connectThroughRelay, type Forward, startForward } from './relay.ts';
import { type Roms, type RunningVm, removeDisks, startVm, vmPaths } from './vm.ts';
import type { VmSpec } from './vm-spec.ts';

/** Whether a cable is plugged in at both ends. */
export type CableState = 'up' | 'down';

/** All that a lab is made from; plain data, so that it can be handed to another process. */
export interface LabPlan {
  readonly network: NetworkPlan;
  readonly guests: readonly VmSpec[];
  /** Names of guests that stay off until somebody switches them on. */
  readonly off: readonly string[];
  /** Addresses of services that the boot server's network reaches. */
  readonly vips: readonly Ipv4[];
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
  /** Puts another card in the place of a guest's first one; the guest has it when it is next switched on. */
  replaceCard(name: string, mac: MacAddress): void;
  /** Pulls the plug. */
  kill(name: string): Promise<void>;
  /** Stops the processors of a guest; its disks, memory and connections stay as they are. */
  pause(name: string): Promise<void>;
  resume(name: string): Promise<void>;
  /**
   * Cuts a guest's cables to a network or mends them: one of its cards there, counted from 0, or all.
   * Both ends lose their carrier. A cable that was cut is still cut when the guest is switched on again.
   */
  link(name: string, network: string, state: CableState, card?: number): Promise<void>;
  /** The raw image of a guest's disk; to be written only while the guest is off. */
  disk(name: string, serial: string): string;
  /** Plugs a client machine into a network, as a namespace of this host; it goes with the lab. */
  host(
    network: string,
    name: string,
    address: string,
    options?: { readonly gateway?: string },
  ): Promise<ClientHost>;
  /** The name of the guest that a node's name means: a spare keeps its own when it becomes a node. */
  guestName(node: string): Promise<string>;
  /** The server's rows; a guest that it has not met yet is `absent`, one without power says so. */
  status(): Promise<readonly NodeStatus[]>;
  /** Where the host reaches what is at this address. */
  ports(address: string): Promise<readonly HostPort[]>;
  stop(): Promise<void>;
}

/** Brings up the network, the boot server and every guest of the plan that is not to stay off; takes all down again where one fails. */
export async function startLab(
  folder: LabFolder,
  plan: LabPlan,
  onStep: (text: string) => void,
): Promise<Lab> {
  requireSocketPaths(folder, plan.guests);
  await mkdir(folder.root, { recursive: true, mode: 0o700 });
  onStep('making the private network');
  const network = await startNetwork(plan.network, folder.root);
  const running = new Map<string, RunningVm>();
  const starting = new Map<string, Promise<void>>();
  const forwards = new Map<string, Promise<readonly HostPort[]>>();
  const listening: Forward[] = [];
  const cut = new Set<LabTap>();
  const hosts: Promise<ClientHost>[] = [];
  const replaced = new Map<string, MacAddress>();
  let server: LabBootServer | undefined;
  let stopping: Promise<void> | undefined;

  const stop = async () => {
    await Promise.all(listening.map((forward) => forward.stop()));
    await Promise.allSettled(starting.values());
    await Promise.all([...running.values()].map((vm) => vm.kill()));
    for (const host of await Promise.allSettled(hosts)) {
      if (host.status === 'fulfilled') await host.value.stop();
    }
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
  const switchOn = async (name: string) => {
    const spec = plan.guests.find((guest) => guest.name === name);
    if (!spec) throw unknownGuest(name, plan.guests);
    const mac = replaced.get(name);
    const nics = spec.nics.map((nic, i) => (i === 0 && mac ? { ...nic, mac } : nic));
    const vm = await startVm(
      { ...spec, nics },
      {
        network,
        taps: plan.network.taps.filter((tap) => tap.guest === name).map((tap) => tap.name),
        accelerator: plan.accelerator,
        roms: plan.roms,
        folder: folder.guest(name),
      },
    );
    running.set(name, vm);
    void vm.ended.then(() => running.get(name) === vm && running.delete(name));
    for (const tap of cut) if (tap.guest === name) await setCarrier(vm, tap, 'down');
  };
  const start = async (name: string) => {
    if (running.has(name)) return;
    const begun = starting.get(name) ?? switchOn(name).finally(() => starting.delete(name));
    starting.set(name, begun);
    await begun;
  };
  const plugIn = (networkName: string, name: string, address: string, gateway?: string) => {
    const bridge = plan.network.bridges.find((b) => b.network === networkName);
    if (!bridge) throw unknownNetwork(networkName, plan);
    return startClientHost({
      network,
      name,
      bridge: bridge.name,
      port: `host${hosts.length}`,
      address,
      prefix: bridge.prefix,
      ...(gateway === undefined ? {} : { gateway }),
      log: join(folder.root, `host-${name}.log`),
    });
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
      await removeDisks(guest, folder.guest(guest.name));
      if (plan.off.includes(guest.name)) continue;
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
      replaceCard: (name, mac) => {
        if (!plan.guests.some((guest) => guest.name === name))
          throw unknownGuest(name, plan.guests);
        replaced.set(name, mac);
      },
      kill: async (name) => {
        await powered(name).kill();
        running.delete(name);
      },
      pause: async (name) => {
        await powered(name).qmp('stop');
      },
      resume: async (name) => {
        await powered(name).qmp('cont');
      },
      link: async (name, networkName, state, card) => {
        const all = cablesTo(plan, name, networkName);
        const taps = card === undefined ? all : all.slice(card, card + 1);
        if (taps.length === 0) {
          throw new AppError('lab-no-card', `${name} has no such card on ${networkName}`);
        }
        for (const tap of taps) {
          if (state === 'down') cut.add(tap);
          else cut.delete(tap);
          await runProgram(...network.inside('ip', ['link', 'set', tap.name, state]));
          const vm = running.get(name);
          if (vm) await setCarrier(vm, tap, state);
        }
      },
      disk: (name, serial) => {
        const spec = plan.guests.find((guest) => guest.name === name);
        if (!spec) throw unknownGuest(name, plan.guests);
        const index = spec.disks.findIndex((disk) => disk.serial === serial);
        const path = vmPaths(folder.guest(name), spec, plan.roms).disks[index];
        if (path !== undefined) return path;
        throw new AppError('lab-no-disk', `${name} has no disk with the serial number ${serial}`);
      },
      host: (networkName, name, address, options = {}) => {
        const host = plugIn(networkName, name, address, options.gateway);
        hosts.push(host);
        return host;
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

/** The guest's cables to a network, in the order of its cards. */
function cablesTo(plan: LabPlan, guest: string, network: string): readonly LabTap[] {
  if (!plan.guests.some((g) => g.name === guest)) throw unknownGuest(guest, plan.guests);
  const bridge = plan.network.bridges.find((b) => b.network === network);
  if (!bridge) throw unknownNetwork(network, plan);
  return plan.network.taps.filter((tap) => tap.guest === guest && tap.bridge === bridge.name);
}

/** Tells a guest's card whether there is a carrier; QEMU answers a moment after it has been started. */
async function setCarrier(vm: RunningVm, tap: LabTap, state: CableState): Promise<void> {
  const set = () => vm.qmp('set_link', { name: `net${tap.nic}`, up: state === 'up' });
  for (let tries = 0; tries < 100; tries += 1) {
    const done = await set().then(
      () => true,
      () => false,
    );
    if (done) return;
    await sleep(100);
  }
  await set();
}

function unknownNetwork(name: string, plan: LabPlan): AppError {
  return new AppError(
    'lab-unknown-network',
    `the lab has no network ${name}`,
    `its networks are ${plan.network.bridges.map((bridge) => bridge.network).join(', ')}`,
  );
}

function unknownGuest(name: string, guests: readonly VmSpec[]): AppError {
  return new AppError(
    'lab-unknown-guest',
    `the lab has no guest ${name}`,
    `its guests are ${guests.map((guest) => guest.name).join(', ')}`,
  );
}
