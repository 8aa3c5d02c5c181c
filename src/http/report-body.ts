import { z } from 'zod';
import { parseDigest } from '../digest.ts';
import type { Report } from './boot-service.ts';

/** What a node says ends on an operator's terminal, where control characters would be obeyed. */
export const saidText = (max: number) =>
  z
    .string()
    .max(max)
    .transform((said) => said.replace(/\p{Cc}/gu, ' '));
const count = z.number().int().nonnegative();
const uptime = z.number().nonnegative();

const set = z.string().transform((said, context) => {
  const digest = parseDigest(said);
  if (digest) return digest;
  context.addIssue('not 64 hexadecimal digits');
  return z.NEVER;
});

const hardware = z.object({
  cpu: saidText(256),
  cpus: count,
  memory: count,
  disks: z.array(z.object({ name: saidText(64), bytes: count, model: saidText(256) })).max(256),
  nics: z.array(z.object({ name: saidText(64), mac: saidText(64), driver: saidText(64) })).max(256),
  serial: saidText(256),
  uuid: saidText(64),
  product: saidText(256),
  firmware: z.enum(['bios', 'uefi']),
});

const report = z.discriminatedUnion('stage', [
  z.object({
    stage: z.enum(['kernel', 'root', 'overlay', 'ready', 'failed', 'alive']),
    uptime,
    reason: saidText(4096).default(''),
    set: set.exactOptional(),
    vrrp: z.enum(['master', 'backup', 'fault']).exactOptional(),
  }),
  z.object({
    stage: z.enum(['followed', 'follow-failed']),
    uptime,
    reason: saidText(4096).default(''),
    set,
  }),
  z.object({ stage: z.literal('warning'), uptime, reason: saidText(4096) }),
  z.object({ stage: z.literal('hardware'), uptime, hardware }),
]);

/** Things wrong that are told: a body of 64 KiB can hold thousands. */
const mostIssues = 5;

/** A node's report, or one line of what is wrong with it. */
export function parseReport(
  body: unknown,
): { readonly ok: true; readonly report: Report } | { readonly ok: false; readonly why: string } {
  const parsed = report.safeParse(body);
  if (parsed.success) return { ok: true, report: parsed.data };
  return { ok: false, why: describeIssues(parsed.error) };
}

/** What is wrong with a body, in one line. */
export function describeIssues({ issues }: z.ZodError): string {
  return issues
    .slice(0, mostIssues)
    .map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`)
    .join('; ');
}
