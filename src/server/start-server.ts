import { join } from 'node:path';
import { AppError, type Problem, type Result } from '../errors.ts';
import { createAdminApp } from '../http/admin-app.ts';
import { createBootApp } from '../http/boot-app.ts';
import { createMetrics } from '../http/metrics.ts';
import { startHttp } from '../http/start-http.ts';
import { openImageStore } from '../images/image-store.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import { startDhcpServer } from '../pxe/dhcp-server.ts';
import { bootServerPort, type DhcpPorts } from '../pxe/reply-destination.ts';
import { startTftpServer } from '../pxe/tftp-server.ts';
import { whoHas } from '../pxe/who-has.ts';
import { renderProblems } from '../render-problems.ts';
import type { Fleet } from '../roles/fleet.ts';
import { loadFleet } from '../roles/load-fleet.ts';
import type { Site } from '../site/site.ts';
import { watchSite } from '../site/watch-site.ts';
import { listCertificates } from '../state/certificates.ts';
import { openState } from '../state/state.ts';
import { unfitForSocket } from '../system/socket-path.ts';
import { createAdminService } from './admin-service.ts';
import { bootAt } from './boot-at.ts';
import { createBootService } from './boot-service.ts';
import { checkPorts, type Listening } from './check-ports.ts';
import { createFollower } from './follow-sets.ts';
import { prepareGeneration, refusals } from './generation.ts';
import { identifyDhcpClient } from './identify-clients.ts';
import { openJournal } from './journal.ts';
import { openLastGoodSite } from './last-good-site.ts';
import { createLoaderSightings } from './loader-sightings.ts';
import { renderEvent } from './render-event.ts';
import { createSiteInForce } from './site-in-force.ts';
import {
  answersDhcp,
  checkHost,
  checkImages,
  problemOf,
  type ServedNetwork,
  segmentsOf,
  servedNetworks,
} from './start-checks.ts';
import { startPruning } from './start-pruning.ts';
import { tellStrangeBoots } from './strange-boots.ts';
import { tellWriteTrouble } from './tell-write-trouble.ts';
import { createLoaders } from './tftp-content.ts';
import { createVolumeService } from './volume-service.ts';
import { startBootWatch } from './watch-boots.ts';

export interface ServerOptions {
  readonly siteDir: string;
  readonly stateDir: string;
  readonly version: string;
  /** Where console, API and metrics listen besides the unix socket in the state folder. */
  readonly admin?: { readonly host: string; readonly port: number };
  /**
   * A socket for the broadcasts of each interface, by its name. Without them one network is served at most,
   * and it hears the broadcasts of every interface.
   */
  readonly broadcasts?: ReadonlyMap<string, number>;
  /** Sockets for HTTP that are bound already, by their addresses. */
  readonly listeners?: ReadonlyMap<string, number>;
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
  const lastGood = openLastGoodSite(stateDir);
  const reading = await loadFleet(siteDir);
  const fleet = reading.ok ? reading.value : await lastGood.load();
  if (!fleet) throw cannotStart('the site is invalid', problemsOf(reading), 'invalid-site');
  const images = openImageStore(stateDir);
  const state = openState(stateDir);
  const stops: (() => Promise<void> | void)[] = [() => state.close()];
  const socketPath = join(stateDir, 'admin.sock');
  try {
    const prepare = (fleet: Fleet, number: number) =>
      prepareGeneration({ number, fleet, images, overlays: state.overlays });
    const first = await prepare(fleet, 1);
    const fdOf = (address: string) => options.listeners?.get(address);
    const isFree = ({ what, address }: Listening) => what !== 'HTTP' || fdOf(address) === undefined;
    const hostProblems = await checkHost(fleet.site);
    const served = servedNetworks(fleet.site);
    const unfit = unfitForSocket(socketPath);
    const problems = [
      ...(unfit ? [problemOf(unfit.message, unfit.hint)] : []),
      ...hostProblems,
      ...(await checkImages(first, images)),
      // An address that this machine does not have is already said.
      ...(hostProblems.length === 0
        ? await checkPorts(placesOf(served, options).filter(isFree))
        : []),
    ];
    if (problems.length > 0) {
      throw cannotStart('the boot server cannot start', problems, 'cannot-start');
    }
    for (const refusal of refusals(first)) log(`site: ${refusal}`);
    for (const line of first.untested) log(`image: ${line}`);
    // Nodes that want it do not boot; the others do.
    for (const one of await listCertificates(stateDir)) {
      if (one instanceof AppError) log(`certificate: ${one.message} (${one.hint})`);
    }

    const journal = openJournal(state, Date.now);
    stops.push(() => journal.stop());
    const loaders = createLoaderSightings(journal, Date.now, log);
    const latestAt = (address: string) => bootAt(state.boots, loaders.machineAt, address);
    const bootWatch = startBootWatch({ boots: { latestAt }, journal, now: Date.now });
    stops.push(() => bootWatch.stop());
    const keep = (good: Fleet) => lastGood.keep(siteDir, good);
    const site = createSiteInForce({ first, prepare, keep, journal, log });
    // Says at once why it is not served.
    if (!reading.ok) await site.accept(reading);
    const { generation } = site;
    const follower = createFollower({ state, journal, generation, now: Date.now });
    const volumes = createVolumeService({
      ...{ state, generation, journal, clock: () => performance.now(), now: Date.now },
    });
    const adminService = createAdminService({
      ...{ state, journal, site, follower, volumes, version: options.version },
      trace: bootWatch.trace,
    });
    const metrics = createMetrics(adminService);
    const lookAtNodes = () => follower.look().catch((error) => log(`site: ${error}`));
    stops.push(site.subscribe(lookAtNodes));

    const httpPort = options.ports?.http ?? 80;
    const urlOf = (address: Ipv4) => `http://${address}${httpPort === 80 ? '' : `:${httpPort}`}`;
    const boot = createBootService({
      ...{ stateDir, state, images, journal, follower, generation, volumes, now: Date.now },
      machineAt: loaders.machineAt,
      loaderSent: loaders.noteHttp,
      strangeBoot: tellStrangeBoots({ site: () => generation().fleet.site, now: Date.now, log }),
    });
    const bootApp = createBootApp(boot, { metrics, onPacket: bootWatch.note });
    const openLoader = createLoaders(images);
    for (const network of served) {
      const address = network.server;
      const fd = fdOf(address);
      const bound = fd === undefined ? {} : { fd };
      const http = await startHttp(bootApp, { host: address, port: httpPort, ...bound });
      stops.push(() => http.stop());
      const tftp = await startTftpServer({
        address,
        port: options.ports?.tftp ?? 69,
        open: (name) => openLoader(name, urlOf(address), generation().loaders),
        singlePort: () => isSinglePort(generation().fleet.site, address),
        onEvent: loaders.noteTftp,
        onPacket: bootWatch.note,
      });
      stops.push(() => tftp.stop());
    }

    const dhcp = await startDhcpServer({
      segments: await segmentsOf(served, urlOf, options.broadcasts),
      current: () => ({ site: generation().fleet.site }),
      leases: state.leases,
      whoHas,
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
    const ownApp = createAdminApp(adminService, { metrics, createVolume: volumes.create });
    const socket = await startHttp(ownApp, { socketPath });
    stops.push(() => socket.stop());
    const console = options.admin && (await startHttp(admin, options.admin));
    stops.push(() => console?.stop());

    stops.push(tellWriteTrouble(state.writes, Date.now, log));
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
      site: fleet.site.name,
      listens: [
        ...served.map((network) => describeNetwork(network, options)),
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

function isSinglePort(site: Site, server: Ipv4): boolean {
  return servedNetworks(site).some(
    (network) => network.server === server && network.tftp === 'single-port',
  );
}

/** A file that vanishes, or that this user may not read, is a problem of the site and no end of the server. */
function unreadable(error: unknown): Result<Fleet> {
  const message = error instanceof Error ? error.message : String(error);
  return { ok: false, problems: [problemOf(message, '')] };
}

/** `boot 10.77.0.1 (DHCP, PXE, TFTP, HTTP)`, with the ports that are not the usual ones. */
function describeNetwork(network: ServedNetwork, options: ServerOptions): string {
  const usual = { DHCP: 67, PXE: 4011, TFTP: 69, HTTP: 80 } as Readonly<Record<string, number>>;
  const parts = placesOf([network], { ...options, admin: undefined }).map(({ what, port }) =>
    port === usual[what] ? what : `${what} ${port}`,
  );
  return `${network.name} ${network.server} (${parts.join(', ')})`;
}

function placesOf(
  served: readonly ServedNetwork[],
  { ports, admin }: Pick<ServerOptions, 'ports'> & { admin?: ServerOptions['admin'] | undefined },
): readonly Listening[] {
  const dhcp = ports?.dhcp ?? { server: 67, client: 68 };
  return [
    ...served.flatMap((network): Listening[] => [
      ...(answersDhcp(network)
        ? ([
            { what: 'DHCP', protocol: 'udp', address: network.server, port: dhcp.server },
            { what: 'PXE', protocol: 'udp', address: network.server, port: bootServerPort(dhcp) },
          ] as const)
        : []),
      { what: 'TFTP', protocol: 'udp', address: network.server, port: ports?.tftp ?? 69 },
      { what: 'HTTP', protocol: 'tcp', address: network.server, port: ports?.http ?? 80 },
    ]),
    ...(admin
      ? [{ what: 'the console', protocol: 'tcp', address: admin.host, port: admin.port } as const]
      : []),
  ];
}

function problemsOf(reading: Result<Fleet>): readonly Problem[] {
  return reading.ok ? [] : reading.problems;
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
