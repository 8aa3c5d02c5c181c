import { z } from 'zod';

/** Shapes of the API's answers; the OpenAPI file is made of them and the tests hold the answers against them. */

const digest = z
  .string()
  .regex(/^([0-9a-f]{64})?$/)
  .describe('SHA-256, or empty where there is none');
const time = z.string().describe('ISO 8601 in UTC, or empty where it never happened');
const milliseconds = z.number().int().describe('milliseconds since the epoch');

const runStages = [
  'dhcp',
  'loader',
  'script',
  'kernel',
  'root',
  'overlay',
  'ready',
  'failed',
] as const;

export const stages = ['absent', ...runStages, 'silent'] as const;

export const nodeStatusSchema = z.strictObject({
  name: z.string(),
  role: z
    .array(z.string())
    .describe('roles it runs; before its first boot, those of its role file'),
  mac: z.array(z.string()),
  address: z.string(),
  stage: z.enum(stages),
  since: time,
  bootSet: digest,
  image: digest,
  reason: z.string().describe('why it failed or what to mind; empty where nothing'),
});

const hardwareSchema = z.strictObject({
  cpu: z.string(),
  cpus: z.number().int(),
  memory: z.number().int().describe('MiB'),
  disks: z.array(z.strictObject({ name: z.string(), bytes: z.number(), model: z.string() })),
  nics: z.array(z.strictObject({ name: z.string(), mac: z.string(), driver: z.string() })),
  serial: z.string(),
  uuid: z.string(),
  product: z.string(),
  firmware: z.enum(['bios', 'uefi']),
});

export const nodeDetailSchema = nodeStatusSchema.extend({
  spare: z.boolean().describe('whether no role file names it'),
  reached: z.enum(stages).describe('the stage before it failed or fell silent'),
  steps: z.array(z.strictObject({ stage: z.enum(runStages), at: time })),
  lastSeen: time,
  bootId: z.string(),
  nextRole: z.array(z.string()).optional().describe('roles after its next boot, where they differ'),
  hardware: hardwareSchema.optional(),
  due: z
    .strictObject({
      bootSet: digest.describe('the set that it is to run'),
      kind: z.enum(['reload', 'reboot']),
      reason: z.string().describe('what that means, or why it does not happen now'),
    })
    .optional()
    .describe('absent where it runs its newest set, or runs nothing'),
  port: z
    .string()
    .optional()
    .describe('the switch port that it asks from, as a role file spells it'),
  knownBy: z
    .array(z.string())
    .optional()
    .describe('what its role file knows it by; absent for a spare'),
});

const eventSchema = z
  .looseObject({ at: milliseconds, machine: z.string(), node: z.string(), kind: z.string() })
  .describe('one step of one machine; the fields beyond these depend on its kind');

export const loggedEventSchema = z.strictObject({ id: z.number().int(), event: eventSchema });

export const bootSchema = z.strictObject({
  bootId: z.string(),
  machine: z.string(),
  node: z.string(),
  address: z.string(),
  createdAt: time,
  secretsFetchedAt: time,
  lastReportAt: time,
  lastStage: z.string(),
  bootSet: z
    .looseObject({ digest, node: z.string(), roles: z.array(z.string()), image: digest })
    .describe('the immutable set: blobs by digest and size, kernel arguments'),
  runs: z
    .looseObject({
      digest,
      roles: z.array(z.string()),
      image: digest,
      overlay: z.object({ digest, size: z.number() }),
      arguments: z.array(z.string()),
      secrets: z
        .array(
          z.looseObject({
            ...{ name: z.string(), path: z.string() },
            ...{ mode: z.number(), uid: z.number(), gid: z.number() },
          }),
        )
        .exactOptional(),
    })
    .describe('the set that it runs: that of its boot, or the one that it followed to since'),
});

export const lastBootSchema = z.strictObject({
  machine: z.string(),
  at: time.describe('when this was looked up'),
  state: z
    .enum(['ready', 'waiting', 'stuck', 'failed'])
    .describe('waiting while the next step may still come, stuck when it is overdue'),
  verdict: z.string().describe('what was seen, in one sentence'),
  hint: z.string().describe('what it may be and what to do; empty where nothing is wrong'),
  architecture: z
    .number()
    .int()
    .nullable()
    .describe('the number of DHCP option 93 by which it asked; null where none is known'),
  dropped: z.number().int().describe('packets of its middle that are not kept'),
  packets: z
    .array(
      z.strictObject({
        at: time,
        protocol: z.enum(['dhcp', 'tftp', 'http']),
        direction: z.enum(['in', 'out']),
        local: z.string(),
        remote: z.string(),
        summary: z.string(),
        bytes: z.number().int().describe('bytes kept of it'),
      }),
    )
    .describe(
      'in the order in which they came; none where no boot was seen since the server began',
    ),
});

/** A machine's last boot as the API tells it. */
export type LastBootAnswer = z.infer<typeof lastBootSchema>;

const word = z.string().describe("DRBD's own word; empty where the resource is not up");

const volumeReportSchema = z.strictObject({
  at: z.number().describe("the node's uptime in seconds before it looked"),
  role: word,
  peerRole: word,
  connection: word,
  disk: word,
  peerDisk: word,
  done: z.number().describe('per cent of a resynchronisation that is done; 100 where none runs'),
  suspended: z.boolean().describe('whether writes wait until the peer is back or fenced'),
  serving: z.boolean().describe('whether clients are served here'),
  fence: z.boolean(),
  release: z.boolean(),
  met: z.boolean().describe('whether it was connected to the other node since it booted'),
  survey: z
    .strictObject({
      state: z.enum(['absent', 'blank', 'signed', 'used', 'unreadable']),
      bytes: z.number().int(),
      model: z.string(),
      found: z.string().describe('why it is not blank; empty where it is'),
    })
    .optional()
    .describe('what its disk held when the resource was not up'),
  order: z
    .strictObject({
      id: z.string(),
      step: z.string(),
      state: z.enum(['running', 'done', 'failed']),
      why: z.string(),
    })
    .optional(),
  problem: z.string().describe('what the node could not do; empty where nothing'),
});

export const volumeStatusSchema = z.strictObject({
  name: z.string(),
  leader: z.string().describe('the node that holds the lease; empty where none does'),
  device: z.string(),
  at: z.string().describe('where clients mount it'),
  vip: z.array(z.string()),
  nodes: z.array(
    z.strictObject({
      name: z.string(),
      heard: z.string().describe('when it reported last; empty where never'),
      outdated: z.boolean().describe('whether its copy is known to be older than the other'),
      report: volumeReportSchema.optional().describe('absent where the last one is too old'),
    }),
  ),
  order: z
    .strictObject({
      id: z.string(),
      state: z.enum(['running', 'done', 'failed']),
      why: z.string(),
      step: z.string().describe('what it is about; empty where it has ended'),
    })
    .optional()
    .describe('the last `volume create`'),
});

export const heldImageSchema = z.strictObject({
  image: z.string().describe("digest of the image's manifest"),
  nodes: z.array(z.string()),
});

export const healthSchema = z.strictObject({
  status: z
    .enum(['ok', 'degraded'])
    .describe(
      'degraded while the site on disk is not the one served, or the state folder takes nothing',
    ),
  version: z.string(),
  site: z.string(),
  generation: z.number().int(),
  startedAt: time,
  problem: z.string().describe('why it is degraded; empty where it is not'),
  state: z
    .strictObject({
      writable: z.boolean(),
      since: z.string().describe('since when it is not; empty where it is'),
      problem: z.string(),
      hint: z.string().describe('what to type'),
    })
    .describe('whether the state folder takes leases and boots'),
});

export const errorSchema = z.strictObject({
  error: z.strictObject({ code: z.string(), message: z.string(), hint: z.string() }),
});
