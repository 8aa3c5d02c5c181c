import type { RequestHandler } from 'express';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Event } from '../state/event.ts';
import type { AdminService } from './admin-service.ts';
import { stages } from './api-schemas.ts';
import type { Sent } from './boot-service.ts';

/** What Prometheus reads. */
export interface Metrics {
  readonly registry: Registry;
  /** Counts the requests of one listener by route, method and status. */
  countRequests(listener: 'boot' | 'admin'): RequestHandler;
  /** Counts a file that went out over HTTP. */
  sent(sent: Sent): void;
}

/** Metrics of a server; gauges are read from `service` when they are asked for, counters follow its changes. */
export function createMetrics(service: AdminService): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];

  new Gauge({
    name: 'rolecall_nodes',
    help: 'Nodes and spares by the stage they are in',
    labelNames: ['stage'],
    registers,
    collect() {
      const nodes = service.nodes();
      for (const stage of stages)
        this.set({ stage }, nodes.filter((n) => n.stage === stage).length);
    },
  });
  new Gauge({
    name: 'rolecall_site_generation',
    help: 'Number of the generation of boot sets in use',
    registers,
    collect() {
      this.set(service.facts().generation);
    },
  });
  new Gauge({
    name: 'rolecall_site_valid',
    help: '1 while the site on disk is the one that is served, else 0',
    registers,
    collect() {
      this.set(service.siteProblem() ? 0 : 1);
    },
  });
  new Gauge({
    name: 'rolecall_state_writable',
    help: '1 while the state folder takes leases and boots, else 0',
    registers,
    collect() {
      this.set(service.writeTrouble() ? 0 : 1);
    },
  });

  const events = new Counter({
    name: 'rolecall_events_total',
    help: 'Events by kind',
    labelNames: ['kind'],
    registers,
  });
  const dhcp = new Counter({
    name: 'rolecall_dhcp_answers_total',
    help: 'DHCP messages answered, by what the answer was and who asked',
    labelNames: ['answer', 'via'],
    registers,
  });
  const dhcpProblems = new Counter({
    name: 'rolecall_dhcp_problems_total',
    help: 'Problems seen by DHCP: a full pool, another DHCP server, an address in use twice',
    labelNames: ['problem'],
    registers,
  });
  const loaders = new Counter({
    name: 'rolecall_loader_bytes_total',
    help: 'Bytes of loaders sent, by protocol',
    labelNames: ['via'],
    registers,
  });
  const bootSeconds = new Histogram({
    name: 'rolecall_boot_seconds',
    help: "Seconds from the firmware's first DHCP message to ready",
    buckets: [5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600],
    registers,
  });
  const requests = new Counter({
    name: 'rolecall_http_requests_total',
    help: 'HTTP requests by listener, route, method and status',
    labelNames: ['listener', 'route', 'method', 'status'],
    registers,
  });
  const httpBytes = new Counter({
    name: 'rolecall_http_sent_bytes_total',
    help: 'Bytes of files sent over HTTP, by what they are',
    labelNames: ['what'],
    registers,
  });

  service.subscribe((change) => {
    if (change.kind !== 'event') return;
    const { event } = change;
    events.inc({ kind: event.kind });
    switch (event.kind) {
      case 'dhcp-offered':
      case 'dhcp-acked':
        dhcp.inc({ answer: event.kind.slice('dhcp-'.length), via: event.via });
        break;
      case 'proxy-answered':
        dhcp.inc({ answer: 'proxied', via: event.via });
        break;
      case 'dhcp-refused':
        dhcp.inc({ answer: 'refused', via: '' });
        break;
      case 'dhcp-problem':
        dhcpProblems.inc({ problem: event.problem });
        break;
      case 'loader-sent':
        loaders.inc({ via: event.via }, event.bytes);
        break;
      case 'stage': {
        const seconds = secondsToReady(service, event);
        if (seconds !== undefined) bootSeconds.observe(seconds);
      }
    }
  });

  return {
    registry,
    countRequests: (listener) => (request, response, next) => {
      response.on('close', () => {
        // Unknown paths share one label, so that nobody can fill the memory with them.
        const route = (request.route as { path?: string } | undefined)?.path ?? 'other';
        const known = ['GET', 'HEAD', 'POST'].includes(request.method) ? request.method : 'other';
        requests.inc({ listener, route, method: known, status: response.statusCode });
      });
      next();
    },
    sent: ({ what, bytes }) => httpBytes.inc({ what }, bytes),
  };
}

/** How long a boot took that this event ends; undefined for any other event and where its start was not seen. */
function secondsToReady(
  service: AdminService,
  event: Extract<Event, { kind: 'stage' }>,
): number | undefined {
  if (event.stage !== 'ready') return undefined;
  const node = service.nodes().find((n) => n.bootId === event.bootId);
  const first = node?.steps[0];
  const ready = node?.steps.find((s) => s.stage === 'ready');
  if (first?.stage !== 'dhcp' || !ready || Date.parse(ready.at) !== event.at) return undefined;
  return (event.at - Date.parse(first.at)) / 1000;
}
