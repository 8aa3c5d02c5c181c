import { z } from 'zod';
import {
  bootSchema,
  errorSchema,
  healthSchema,
  heldImageSchema,
  lastBootSchema,
  loggedEventSchema,
  nodeDetailSchema,
  nodeStatusSchema,
  volumeStatusSchema,
} from './api-schemas.ts';

/** One thing that the admin listener answers. All are GET: nothing here changes anything. */
export interface AdminRoute {
  /** OpenAPI's form: `/api/v1/nodes/{name}`. */
  readonly path: string;
  readonly summary: string;
  readonly type: string;
  /** Only of JSON answers. */
  readonly schema?: z.ZodType;
  /** Query parameters by name. */
  readonly query?: Readonly<Record<string, string>>;
  /** Errors besides 421, which any route may answer. */
  readonly errors?: Readonly<Record<number, string>>;
}

/** Every route of the admin listener: the app serves these, the OpenAPI file lists these. */
export const adminRoutes = {
  console: { path: '/', summary: 'The console: who is where, and since when', type: 'text/html' },
  live: {
    path: '/console/live',
    summary: 'The part of the console that changes, as HTML',
    type: 'text/html',
  },
  style: { path: '/console/console.css', summary: "The console's style", type: 'text/css' },
  code: {
    path: '/console/console.js',
    summary: 'What keeps the console live',
    type: 'text/javascript',
  },
  nodes: {
    path: '/api/v1/nodes',
    summary: 'Where every node and spare stands, as `rolecall node ls --json` prints it',
    type: 'application/json',
    schema: z.array(nodeStatusSchema),
  },
  node: {
    path: '/api/v1/nodes/{name}',
    summary: 'One node with its steps and hardware',
    type: 'application/json',
    schema: nodeDetailSchema,
    errors: { 404: 'no node or spare has that name' },
  },
  boots: {
    path: '/api/v1/boots/{name}',
    summary: 'Boots of a node, newest first',
    type: 'application/json',
    schema: z.array(bootSchema),
    errors: { 404: 'no node or spare has that name' },
  },
  lastBoot: {
    path: '/api/v1/machines/{mac}/boot',
    summary: "A machine's last boot packet by packet, and what it shows",
    type: 'application/json',
    schema: lastBootSchema,
    errors: { 400: 'that is no MAC address' },
  },
  capture: {
    path: '/api/v1/machines/{mac}/boot.pcap',
    summary: 'The same as a capture file for Wireshark',
    type: 'application/vnd.tcpdump.pcap',
    query: {
      since: 'only packets at or after this time: ISO 8601, or milliseconds since the epoch',
    },
    errors: { 400: 'a parameter cannot be read' },
  },
  events: {
    path: '/api/v1/events',
    summary: 'What happened, oldest first, at most the newest 1000',
    type: 'application/json',
    schema: z.array(loggedEventSchema),
    query: {
      machine: 'only of this MAC address',
      since: 'only at or after this time: ISO 8601, or milliseconds since the epoch',
    },
    errors: { 400: 'a parameter cannot be read' },
  },
  stream: {
    path: '/api/v1/stream',
    summary:
      'Server-sent events: `event` with an event as JSON, `site` when the site on disk changed',
    type: 'text/event-stream',
  },
  volumes: {
    path: '/api/v1/volumes',
    summary: 'Every volume: who leads it, and both copies',
    type: 'application/json',
    schema: z.array(volumeStatusSchema),
  },
  images: {
    path: '/api/v1/images/held',
    summary: 'Images that nodes run or are booting: `rolecall image gc` leaves them',
    type: 'application/json',
    schema: z.array(heldImageSchema),
  },
  health: {
    path: '/api/v1/health',
    summary: 'What the server says of itself',
    type: 'application/json',
    schema: healthSchema,
  },
  metrics: { path: '/metrics', summary: 'Metrics for Prometheus', type: 'text/plain' },
  openapi: { path: '/openapi.json', summary: 'This file', type: 'application/json' },
} as const satisfies Readonly<Record<string, AdminRoute>>;

export type AdminRouteName = keyof typeof adminRoutes;

/** The OpenAPI 3.1 file of the admin listener. */
export function renderOpenApi(version: string): unknown {
  const paths = Object.entries(adminRoutes).map(([id, route]: [string, AdminRoute]) => [
    route.path,
    {
      get: {
        operationId: id,
        summary: route.summary,
        parameters: [...pathParameters(route), ...queryParameters(route)],
        responses: {
          200: { description: 'OK', content: { [route.type]: { schema: schemaOf(route) } } },
          ...errorAnswers({ ...route.errors, 421: 'the Host header is not a name of this server' }),
        },
      },
    },
  ]);
  return {
    openapi: '3.1.0',
    info: {
      title: 'rolecall',
      version,
      description: 'Reads only; listens on the admin address.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    paths: Object.fromEntries(paths),
  };
}

function pathParameters(route: AdminRoute) {
  return [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters(route: AdminRoute) {
  return Object.entries(route.query ?? {}).map(([name, description]) => ({
    name,
    in: 'query',
    required: false,
    description,
    schema: { type: 'string' },
  }));
}

function schemaOf(route: AdminRoute): unknown {
  if (!route.schema) return { type: route.type === 'application/json' ? 'object' : 'string' };
  return withoutDialect(z.toJSONSchema(route.schema));
}

function errorAnswers(errors: Readonly<Record<number, string>>) {
  const content = { 'application/json': { schema: withoutDialect(z.toJSONSchema(errorSchema)) } };
  return Object.fromEntries(
    Object.entries(errors).map(([status, description]) => [status, { description, content }]),
  );
}

/** OpenAPI 3.1 names the dialect once for the whole file. */
function withoutDialect({ $schema: _, ...schema }: Record<string, unknown>): unknown {
  return schema;
}
