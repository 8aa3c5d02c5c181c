import { join } from 'node:path';
import { AppError, type Problem, type Result } from '../errors.ts';
import { createAdminApp } from '../http/admin-app.ts';
import { createBootApp } from '../http/boot-app.ts';
import { createMetrics } from '../http/metrics.ts';
import type { SiteProblem } from '../http/services.ts';
import { type ListenAddress, startHttp } from '../http/start-http.ts';
import { openImageStore } from '../images/image-store.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import { startDhcpServer } from '../pxe/dhcp-server.ts';
import { startTftpServer, type TftpEvent } from '../pxe/tftp-server.ts';
import { count, renderProblems } from '../render-problems.ts';
import type { Fleet } from '../roles/fleet.ts';
import { loadFleet } from '../roles/load-fleet.ts';
import { watchSite } from '../site/watch-site.ts';
import { openState } from '../state/state.ts';
import { createAdminService } from './admin-service.ts';
import { createBootService } from './boot-service.ts';
import { type Generation, isSameGeneration, prepareGeneration } from './generation.ts';
import { openJournal } from './journal.ts';
import { renderEvent } from './render-event.ts';
import { roleChanges } from './role-changes.ts';
import { checkHost, checkImages, problemOf, servedNetworks } from './start-checks.ts';
import { openLoader } from './tftp-content.ts';

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
    readonly dhcp?: { readonly server: number; readonly client: number };
  };
  /** One line per thing an operator wants to see go by. */
  readonly log: (line: string) => void;
}

export interface RunningServer {
  readonly site: string;
  readonly generation: () => number;
  /** What it listens on, for an operator's eyes. */
  readonly listens: readonly string[];
  stop(): Promise<void>;
}

/** Milliseconds between prunings of what is too old. */
const pruneInterval = 3_600_000;

/**
 * Starts DHCP, TFTP, HTTP and the admin side; resolves when all of them listen.
 * Checks everything first and refuses with every problem at once.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { siteDir, stateDir, log } = options;
  const loaded = await loadFleet(siteDir);
  if (!loaded.ok) throw cannotStart(loaded.problems, 'invalid-site');
  const images = openImageStore(stateDir);
  const state = openState(stateDir);
  const stops: (() => Promise<void> | void)[] = [() => state.close()];
  try {
    const prepare = (fleet: Fleet, number: number) =>
      prepareGeneration({ number, fleet, images, overlays: state.overlays });
    let generation: Generation = await prepare(loaded.value, 1);
    const problems = [...checkHost(loaded.value.site), ...(await checkImages(generation, images))];
    if (problems.length > 0) throw cannotStart(problems, 'cannot-start');
    const [network] = servedNetworks(loaded.value.site);
    if (!network) throw new Error('a checked site has a network to serve');
    const address = network.server;

    const journal = openJournal(state, Date.now);
    stops.push(() => journal.stop());
    const siteListeners = new Set<() => void>();
    const loaderFetchedAt = new Map<MacAddress, number>();
    const machineAt = new Map<Ipv4, MacAddress>();
    let siteProblem: SiteProblem | undefined;

    const httpPort = options.ports?.http ?? 80;
    let boundPort = httpPort;
    const serverUrl = () => `http://${address}${boundPort === 80 ? '' : `:${boundPort}`}`;
    const bootService = createBootService({
      stateDir,
      state,
      images,
      journal,
      generation: () => generation,
      serverUrl,
      now: Date.now,
    });
    const adminService = createAdminService({
      state,
      journal,
      version: options.version,
      onSiteChange: (listener) => {
        siteListeners.add(listener);
        return () => siteListeners.delete(listener);
      },
      generation: () => generation,
      siteProblem: () => siteProblem,
    });
    const metrics = createMetrics(adminService);
    const http = await startHttp(createBootApp(bootService, { metrics }), {
      host: address,
      port: httpPort,
    });
    stops.push(() => http.stop());
    boundPort = http.port;

    const tftp = await startTftpServer({
      address,
      port: options.ports?.tftp ?? 69,
      open: (name) => openLoader(name, generation.loaders, images),
      onEvent: noteTftp,
    });
    stops.push(() => tftp.stop());

    const dhcp = await startDhcpServer({
      serverAddress: address,
      httpServer: serverUrl(),
      current: () => ({ site: generation.fleet.site }),
      leases: state.leases,
      loaderFetchedAt: (mac) => loaderFetchedAt.get(mac),
      onEvent(event) {
        if (event.kind === 'dhcp-acked') machineAt.set(event.address, event.machine);
        journal.add(event);
      },
      log,
      ...(options.ports?.dhcp ? { ports: options.ports.dhcp } : {}),
    });
    stops.push(() => dhcp.stop());

    const admin = createAdminApp(adminService, { metrics });
    const adminPlaces: ListenAddress[] = [
      { socketPath: join(stateDir, 'admin.sock') },
      ...(options.admin ? [options.admin] : []),
    ];
    const listens = [
      `DHCP ${address}:${dhcp.ports.server}`,
      `TFTP ${address}:${tftp.port}`,
      `HTTP ${serverUrl()}`,
    ];
    for (const place of adminPlaces) {
      const listener = await startHttp(admin, place);
      stops.push(() => listener.stop());
      listens.push(
        'host' in place
          ? `console http://${place.host}:${listener.port}/`
          : `API ${place.socketPath}`,
      );
    }

    const watch = await watchSite({
      dir: siteDir,
      load: () => loadFleet(siteDir),
      // The first reading is what the server started with, unless it changed meanwhile.
      onGeneration: ({ result }) => reload(result),
      onHeld: (problem) => log(`site: ${problem.message}; ${problem.hint}`),
    });
    stops.push(() => watch.stop());
    const pruning = setInterval(
      () => state.prune(Date.now(), generation.overlays()),
      pruneInterval,
    );
    stops.push(() => {
      clearInterval(pruning);
    });

    const unsubscribe = state.events.subscribe((event) => log(renderEvent(event)));
    stops.push(unsubscribe);

    return {
      site: generation.fleet.site.name,
      generation: () => generation.number,
      listens,
      stop: () => stopAll(stops),
    };

    /** A broken edit never reaches the wire: the last good generation stays until every check passes. */
    async function reload(next: Result<Fleet>): Promise<void> {
      siteProblem = await switchTo(next);
      if (siteProblem) {
        log(`site: ${siteProblem.message}\n${renderProblems(siteProblem.problems)}`);
      }
      for (const listener of siteListeners) listener();
    }

    async function switchTo(next: Result<Fleet>): Promise<SiteProblem | undefined> {
      if (!next.ok) {
        return {
          message: 'the site on disk is invalid; the last good one is served',
          problems: next.problems,
        };
      }
      if (servedNetworks(next.value.site)[0]?.server !== address) {
        return {
          message: 'the server has another address in site.yaml now; the last good site is served',
          problems: [
            ...checkHost(next.value.site),
            problemOf('the server listens on its old address', 'systemctl restart rolecall'),
          ],
        };
      }
      const before = generation;
      const after = await prepare(next.value, before.number + 1);
      if (isSameGeneration(before, after)) return undefined;
      generation = after;
      log(`site: generation ${after.number}: ${count(after.sets.size, 'node')}`);
      for (const [node, set] of after.sets) {
        if (!set.ok) log(`site: node ${node} gets no new boot set: ${set.reason}`);
      }
      for (const change of roleChanges(before.fleet.site, after.fleet.site)) journal.add(change);
      return undefined;
    }

    function noteTftp(event: TftpEvent): void {
      const mac = machineAt.get(event.remote);
      if (event.kind !== 'loader-sent') {
        log(`tftp: ${event.remote} ${event.name}: ${event.reason}`);
        return;
      }
      if (!mac) return;
      loaderFetchedAt.set(mac, Date.now());
      const node = journal.machines().get(mac)?.run.node ?? '';
      journal.add({
        machine: mac,
        node,
        kind: 'loader-sent',
        file: event.name,
        bytes: event.bytes,
        via: 'tftp',
      });
    }
  } catch (error) {
    await stopAll(stops);
    throw error;
  }
}

function cannotStart(problems: readonly Problem[], code: string): AppError {
  const heading = code === 'invalid-site' ? 'the site is invalid' : 'the boot server cannot start';
  return new AppError(code, `${heading}:\n${renderProblems(problems)}`);
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
