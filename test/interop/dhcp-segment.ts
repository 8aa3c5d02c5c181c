import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNamespace, createSwitch, type Namespace, plugInto } from './namespace.ts';

/** What the server process says: an event, or `{kind: 'log', line}`. */
export interface ServerLine {
  readonly kind: string;
  readonly [key: string]: unknown;
}

/** The DHCP server in a process of its own. */
export interface ServerProcess {
  /** The first thing that it said from line `from` on and that is meant; waits for it. */
  said(what: string, isMeant: (line: ServerLine) => boolean, from?: number): Promise<ServerLine>;
  readonly lines: readonly ServerLine[];
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

/** What may be asked of the server process. */
export interface ServerWishes {
  /** Name of its state folder, `state` where left out. */
  readonly state?: string;
  readonly leaseSeconds?: number;
  /** The pool of network boot, `10.77.0.200-10.77.0.203` where left out. */
  readonly pool?: { readonly first: string; readonly last: string };
}

/** A segment with our DHCP server, 10.77.0.1, on a switch. */
export interface DhcpSegment {
  readonly server: Namespace;
  readonly folder: string;
  /** Another host on the switch; its card has this hardware address. */
  addHost(mac: string): Promise<Namespace>;
  /** Starts the server over the state that the one before it left. */
  startServer(wishes?: ServerWishes): Promise<ServerProcess>;
  stop(): Promise<void>;
}

/** Makes the segment; `stop` takes everything away that was made and started on it. */
export async function createDhcpSegment(): Promise<DhcpSegment> {
  const folder = await mkdtemp(join(tmpdir(), 'rc-segment-'));
  const server = await createNamespace('server');
  const hosts: Namespace[] = [server];
  await createSwitch(server, 'switch');
  await server.ip('address add 10.77.0.1/24 dev switch');
  return {
    server,
    folder,
    async addHost(mac) {
      const host = await createNamespace('host');
      hosts.push(host);
      await plugInto(host, server, 'switch', `port${hosts.length}`);
      await host.becomeMachine(mac);
      return host;
    },
    startServer: (wishes) =>
      startServerProcess(server, join(folder, wishes?.state ?? 'state'), wishes),
    async stop() {
      for (const host of hosts.toReversed()) await host.remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Starts our DHCP server on a host that has the address 10.77.0.1; resolves when it listens. */
export async function startServerProcess(
  host: Namespace,
  state: string,
  wishes: ServerWishes = {},
): Promise<ServerProcess> {
  const program = new URL('dhcp-server-process.ts', import.meta.url).pathname;
  const child = host.start(process.execPath, [program, state, JSON.stringify(wishes)]);
  const said = async (what: string, isMeant: (line: ServerLine) => boolean, from?: number) =>
    read(await child.line(what, (line) => isMeant(read(line)), from));
  await said('the server listens', ({ kind }) => kind === 'listening');
  return {
    said,
    get lines() {
      return child.lines.map(read);
    },
    stop: (signal = 'SIGTERM') => child.stop(signal),
  };
}

function read(line: string): ServerLine {
  // What Node itself says is no JSON.
  return line.startsWith('{') ? (JSON.parse(line) as ServerLine) : { kind: 'log', line };
}
