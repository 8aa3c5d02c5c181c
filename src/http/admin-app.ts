import { readFileSync } from 'node:fs';
import express, { type Express, type Request, type RequestHandler, type Response } from 'express';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { parseMac } from '../net/mac.ts';
import type { BootRecord } from '../state/boots.ts';
import { type NodeDetail, toNodeStatus } from '../state/node-status.ts';
import { type AdminRouteName, adminRoutes, renderOpenApi } from './admin-routes.ts';
import type { AdminService } from './admin-service.ts';
import { openConsole, templatesFolder } from './console-page.ts';
import { streamChanges } from './event-stream.ts';
import { isHostAllowed } from './host-header.ts';
import { renderLastBoot } from './last-boot.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { answerErrors } from './plain-answers.ts';
import { describeIssues } from './report-body.ts';
import type { CreateRequest } from './volume-status.ts';

export interface AdminOptions {
  /** Names besides `localhost` and IP addresses by which browsers may call this server. */
  readonly names?: readonly string[];
  readonly metrics?: Metrics;
  /**
   * What `volume create` asks for; only on the socket of the state folder, as a page in a browser can make
   * that browser post to an address.
   */
  readonly createVolume?: (volume: string, request: CreateRequest) => { readonly order: string };
}

/** Where the socket takes {@link AdminOptions.createVolume}. */
export function createVolumePath(volume: string): string {
  return `/api/v1/volumes/${volume}/create`;
}

const createRequest = z.object({
  force: z.boolean(),
  disks: z.record(z.string(), z.string()),
});

/** The app of the admin listener: console, API, metrics. It only reads, but for what its options let it do. */
export function createAdminApp(service: AdminService, options: AdminOptions = {}): Express {
  const metrics = options.metrics ?? createMetrics(service);
  const console = openConsole();
  const app = express();
  app.disable('x-powered-by');
  app.set('case sensitive routing', true);
  app.use((request, response, next) => {
    for (const [name, value] of securityHeaders) response.setHeader(name, value);
    if (isHostAllowed(request.headers.host, options.names ?? [])) return next();
    refuse(response, 421, 'wrong-host', 'this server has no such name', 'call it by its address');
  });
  app.use(metrics.countRequests('admin'));

  const handlers: Record<AdminRouteName, RequestHandler> = {
    console: (_request, response) => void response.type('html').send(console.page(look())),
    live: (_request, response) => void response.type('html').send(console.live(look())),
    style: asset('console.css', 'text/css'),
    code: asset('console.js', 'text/javascript'),
    nodes: (_request, response) => void response.json(service.nodes().map(toNodeStatus)),
    node: (request, response) => {
      const node = findNode(request);
      if (node) response.json(node);
      else refuseUnknown(response);
    },
    boots: (request, response) => {
      const node = findNode(request);
      if (node) response.json(service.boots(node.name).map(toBoot));
      else refuseUnknown(response);
    },
    lastBoot(request, response) {
      const machine = parseMac(String(request.params.mac));
      if (machine) response.json(renderLastBoot(service.lastBoot(machine)));
      else refuse(response, 400, 'bad-parameter', noMac.message, noMac.hint);
    },
    capture(request, response) {
      const machine = parseMac(String(request.params.mac));
      const since = readTime(request.query.since);
      if (!machine) return refuse(response, 400, 'bad-parameter', noMac.message, noMac.hint);
      if (since === 'unreadable') {
        return refuse(response, 400, 'bad-parameter', noTime.message, noTime.hint);
      }
      response.type(adminRoutes.capture.type);
      response.send(Buffer.from(service.capture(machine, since ?? 0)));
    },
    events(request, response) {
      const query = readEventQuery(request);
      if (query.ok) response.json(service.events(query.value));
      else refuse(response, 400, 'bad-parameter', query.message, query.hint);
    },
    volumes: (_request, response) => void response.json(service.volumes()),
    images: (_request, response) => void response.json(service.heldImages()),
    stream: (_request, response) => streamChanges(service, response),
    health(_request, response) {
      const { version, site, generation, startedAt } = service.facts();
      const problem = service.siteProblem();
      const trouble = service.writeTrouble();
      response.json({
        status: problem || trouble ? 'degraded' : 'ok',
        version,
        site,
        generation,
        startedAt: new Date(startedAt).toISOString(),
        problem: [trouble?.message, problem?.message].filter(Boolean).join('; '),
        state: {
          writable: trouble === undefined,
          since: trouble ? new Date(trouble.since).toISOString() : '',
          problem: trouble?.message ?? '',
          hint: trouble?.hint ?? '',
        },
      });
    },
    async metrics(_request, response) {
      response.setHeader('Content-Type', metrics.registry.contentType);
      response.send(await metrics.registry.metrics());
    },
    openapi: (_request, response) => void response.json(renderOpenApi(service.facts().version)),
  };
  for (const [name, route] of Object.entries(adminRoutes)) {
    app.get(route.path.replace(/\{(\w+)\}/g, ':$1'), handlers[name as AdminRouteName]);
  }
  const { createVolume } = options;
  if (createVolume) {
    app.post(createVolumePath(':name'), express.json({ limit: '16kb' }), (request, response) => {
      const asked = createRequest.safeParse(request.body);
      if (!asked.success) {
        return refuse(response, 400, 'bad-request', describeIssues(asked.error), '{force, disks}');
      }
      try {
        response.json(createVolume(String(request.params.name), asked.data));
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        refuse(response, 409, error.code, error.message, error.hint ?? '');
      }
    });
  }
  app.use((_request, response) =>
    refuse(response, 404, 'not-found', 'nothing is here', 'GET /openapi.json lists what is'),
  );
  app.use(answerErrors);
  return app;

  function look() {
    return {
      facts: service.facts(),
      nodes: service.nodes(),
      problem: service.siteProblem(),
      trouble: service.writeTrouble(),
      now: Date.now(),
    };
  }

  function findNode(request: Request): NodeDetail | undefined {
    return service.nodes().find((node) => node.name === request.params.name);
  }
}

/** No script, style or connection but our own; nobody may frame the console. */
const securityHeaders = new Map([
  [
    'Content-Security-Policy',
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  ],
  ['X-Content-Type-Options', 'nosniff'],
  ['X-Frame-Options', 'DENY'],
  ['Referrer-Policy', 'no-referrer'],
  ['Cross-Origin-Resource-Policy', 'same-origin'],
  ['Cross-Origin-Opener-Policy', 'same-origin'],
  ['Cache-Control', 'no-store'],
]);

function asset(file: string, type: string): RequestHandler {
  const body = readFileSync(new URL(file, templatesFolder), 'utf8');
  return (_request, response) => {
    // Kept by the browser, asked for again each time: an upgraded server shows its own style.
    response.setHeader('Cache-Control', 'no-cache');
    response.type(type).send(body);
  };
}

function toBoot(boot: BootRecord) {
  const time = (at: number | null) => (at === null ? '' : new Date(at).toISOString());
  return {
    bootId: boot.bootId,
    machine: boot.machine,
    node: boot.node,
    address: boot.address,
    createdAt: time(boot.createdAt),
    secretsFetchedAt: time(boot.tokenUsedAt),
    lastReportAt: time(boot.lastReportAt),
    lastStage: boot.lastStage,
    bootSet: boot.set,
    runs: boot.runs,
  };
}

function readEventQuery(request: Request) {
  const { machine, since } = request.query;
  const mac = typeof machine === 'string' ? parseMac(machine) : undefined;
  if (machine !== undefined && !mac) {
    return bad('machine= is no MAC address', 'machine=52:54:00:00:00:11');
  }
  const at = readTime(since);
  if (at === 'unreadable') return bad(noTime.message, noTime.hint);
  const value = { ...(mac ? { machine: mac } : {}), ...(at === undefined ? {} : { since: at }) };
  return { ok: true, value } as const;
}

const noMac = {
  message: 'that is no MAC address',
  hint: '/api/v1/machines/52:54:00:00:00:11/boot',
};
const noTime = {
  message: 'since= is no time',
  hint: 'since=2026-01-31T09:00:00Z, or milliseconds since the epoch',
};

/** A time of a query, milliseconds since the epoch. */
function readTime(value: unknown): number | undefined | 'unreadable' {
  if (value === undefined) return undefined;
  const text = typeof value === 'string' ? value : '';
  const at = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  return Number.isNaN(at) ? 'unreadable' : at;
}

function bad(message: string, hint: string) {
  return { ok: false, message, hint } as const;
}

function refuseUnknown(response: Response): void {
  refuse(response, 404, 'unknown-node', 'no node or spare has that name', 'rolecall node ls');
}

function refuse(response: Response, status: number, code: string, message: string, hint: string) {
  response.status(status).json({ error: { code, message, hint } });
}
