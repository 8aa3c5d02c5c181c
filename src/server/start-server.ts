import { join } from 'node:path';
import { AppError, type Problem, type Result } from '../errors.ts';
import { createAdminApp } from '../http/admin-app.ts';
import { createBootApp } from '../http/boot-app.ts';
import { createMetrics } from '../http/metrics.ts';
import { startHttp } from '../http/start-http.ts';
import { openImageStore } from '../images/image-store.ts';
import { startDhcpServer } from '../pxe/dhcp-server.ts';
import { bootServerPort, type DhcpPorts } from '../pxe/reply-destination.ts';
import { startTftpServer } from '../pxe/tftp-server.ts';
import { renderProblems } from '../render-problems.ts';
import type { Fleet } from '../roles/fleet.ts';
import { loadFleet } from '../roles/load-fleet.ts';
import { watchSite } from '../site/watch-site.ts';
import { openState } from '../state/state.ts';
import { createAdminService } from './admin-service.ts';
import { createBootService } from './boot-service.ts';
import { checkPorts, type Listening } from './check-ports.ts';
import { prepareGeneration, refusals } from './generation.ts';
import { identifyDhcpClient } from './identify-clients.ts';
import { openJournal } from './journal.ts';
import { createLoaderSightings } from './loader-sightings.ts';
import { renderEvent } from './render-event.ts';
import { createSiteInForce } from './site-in-force.ts';
import { checkHost, checkImages, problemOf, servedNetworks } from './start-checks.ts';
import { startPruning } from './start-pruning.ts';
import { createLoaders } from './tftp-content.ts';
import { startBootWatch } from './watch-boots.ts';

export interface ServerOptions {
  readonly siteDir: string;
  readonly stateDir: string;
  readonly version: string;
  /** Where console, API and metrics listen besides the unix socket in the state folder. */
  readonly admin?: { readonly host: string; readonly port: number };
  /** 80, 69, 67 and 68 where left out. */
  readonly ports?: {
    readonly http?: number;
    readonly tftp?: number;
    readonly dhcp?: DhcpPorts;
  };
  /** One line per thing an operator wants to see go by. */
  readonly log: (line: string) => void;
}

export interface RunningServer {
  readonly site: string;
  /** What it listens on, for an operator's eyes. */
  readonly listens: readonly string[];
  stop(): Promise<void>;
}

/**
 * Starts DHCP, TFTP, HTTP and the admin side; resolves when all of them listen.
 * Checks everything first and refuses with every problem at once.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { siteDir, stateDir, log } = options;
  const loaded = await loadFleet(siteDir);
  if (!loaded.ok) throw cannotStart('the site is invalid', loaded.problems, 'invalid-site');
  const images = openImageStore(stateDir);
  const state = openState(stateDir);
  const stops: (() => Promise<void> | void)[] = [() => state.close()];
  try {
    const prepare = (fleet: Fleet, number: number) =>
      prepareGeneration({ number, fleet, images, overlays: state.overlays });
    const first = await prepare(loaded.value, 1);
    const hostProblems = await checkHost(loaded.value.site);
    const network = servedNetworks(loaded.value.site)[0];
    const address = network?.server;
    const problems = [
      ...hostProblems,
      ...(await checkImages(first, images)),
      // An address that this machine does not have is already said.
      ...(hostProblems.length === 0 && address ? await checkPorts(placesOf(address, options)) : []),
    ];
    if (problems.length > 0 || !address) {
      throw cannotStart('the boot server cannot start', problems, 'cannot-start');
    }
    for (const refusal of refusals(first)) log(`site: ${refusal}`);

    const journal = openJournal(state, Date.now);
    stops.push(() => journal.stop());
    const bootWatch = startBootWatch({ boots: state.boots, journal, now: Date.now });
    stops.push(() => bootWatch.stop());
    const loaders = createLoaderSightings(journal, Date.now, log);
    const site = createSiteInForce({ first, address, prepare, journal, log });
    const { generation } = site;
    const adminService = createAdminService({
      ...{ state, journal, site, version: options.version, trace: bootWatch.trace },
    });
    const metrics = createMetrics(adminService);

    const httpPort = options.ports?.http ?? 80;
    const serverUrl = `http://${address}${httpPort === 80 ? '' : `:${httpPort}`}`;
    const boot = createBootService({
      ...{ stateDir, state, images, journal, generation, serverUrl, now: Date.now },
      machineAt: loaders.machineAt,
      loaderSent: loaders.noteHttp,
    });
    const http = await startHttp(createBootApp(boot, { metrics, onPacket: bootWatch.note }), {
      host: address,
      port: httpPort,
    });
    stops.push(() => http.stop());

    const openLoader = createLoaders(images);
    const tftp = await startTftpServer({
      address,
      port: options.ports?.tftp ?? 69,
      open: (name) => openLoader(name, serverUrl, generation().loaders),
      singlePort: network?.tftp === 'single-port',
      onEvent: loaders.noteTftp,
      onPacket: bootWatch.note,
    });
    stops.push(() => tftp.stop());

    const dhcp = await startDhcpServer({
      serverAddress: address,
      httpServer: serverUrl,
      current: () => ({ site: generation().fleet.site }),
      leases: state.leases,
      loaderFetchedAt: loaders.fetchedAt,
      identify: (client) => {
        const { site } = generation().fleet;
        return identifyDhcpClient({ site, known: state.known, journal, now: Date.now() }, client);
      },
      onEvent: loaders.noteDhcp,
      onPacket: bootWatch.note,
      log,
      ...(options.ports?.dhcp ? { ports: options.ports.dhcp } : {}),
    });
    stops.push(() => dhcp.stop());

    const admin = createAdminApp(adminService, { metrics });
    const socketPath = join(stateDir, 'admin.sock');
    const socket = await startHttp(admin, { socketPath });
    stops.push(() => socket.stop());
    const console = options.admin && (await startHttp(admin, options.admin));
    stops.push(() => console?.stop());

    // Before the first look at the site, which waits for as long as git holds it: machines boot meanwhile.
    stops.push(startPruning(state, generation, log));
    stops.push(state.events.subscribe(loaders.noteEvent));
    stops.push(state.events.subscribe((event) => log(renderEvent(event))));

    const watch = await watchSite({
      dir: siteDir,
      load: () => loadFleet(siteDir).catch(unreadable),
      onGeneration: ({ result }) => site.accept(result),
      onHeld: (problem) => log(`site: ${problem.message}; ${problem.hint}`),
    });
    stops.push(() => watch.stop());
    // Another published image makes other boot sets of the same site.
    stops.push(images.watchTags(() => watch.reload()));

    return {
      site: loaded.value.site.name,
      listens: [
        `DHCP ${address}:${dhcp.ports.server}`,
        `PXE ${address}:${dhcp.ports.bootServer}`,
        `TFTP ${address}:${tftp.port}${network?.tftp === 'single-port' ? ' (all transfers)' : ''}`,
        `HTTP ${serverUrl}`,
        console && options.admin
          ? `console http://${options.admin.host}:${console.port}/`
          : `API ${socketPath}`,
      ],
      stop: () => stopAll(stops),
    };
  } catch (error) {
    await stopAll(stops);
    throw error;
  }
}

/** A file that vanishes, or that this user may not read, is a problem of the site and no end of the server. */
function unreadable(error: unknown): Result<Fleet> {
  const message = error instanceof Error ? error.message : String(error);
  return { ok: false, problems: [problemOf(message, '')] };
}

function placesOf(address: string, { ports, admin }: ServerOptions): readonly Listening[] {
  const dhcp = ports?.dhcp ?? { server: 67, client: 68 };
  return [
    { what: 'DHCP', protocol: 'udp', address, port: dhcp.server },
    { what: 'PXE', protocol: 'udp', address, port: bootServerPort(dhcp) },
    { what: 'TFTP', protocol: 'udp', address, port: ports?.tftp ?? 69 },
    { what: 'HTTP', protocol: 'tcp', address, port: ports?.http ?? 80 },
    ...(admin
      ? [{ what: 'the console', protocol: 'tcp', address: admin.host, port: admin.port } as const]
      : []),
  ];
}

function cannotStart(what: string, problems: readonly Problem[], code: string): AppError {
  return new AppError(code, `${what}:\n${renderProblems(problems)}`);
}

/** Last started, first stopped; one that fails does not keep the others running. */
async function stopAll(stops: readonly (() => Promise<void> | void)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const stop of stops.toReversed()) {
    try {
      await stop();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
