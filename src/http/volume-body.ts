import { z } from 'zod';
import type { VolumeReport } from '../volumes/volume-report.ts';
import { describeIssues, saidText } from './report-body.ts';

const seconds = z.number().nonnegative();
const word = saidText(40);

const survey = z.object({
  state: z.enum(['absent', 'blank', 'signed', 'used', 'unreadable']),
  bytes: z.number().int().nonnegative(),
  model: saidText(128),
  found: saidText(256),
});

const order = z.object({
  id: word,
  step: word,
  state: z.enum(['running', 'done', 'failed']),
  why: saidText(512),
});

const report = z.object({
  at: seconds,
  role: word,
  peerRole: word,
  connection: word,
  disk: word,
  peerDisk: word,
  done: z.number().min(0).max(100),
  suspended: z.boolean(),
  serving: z.boolean(),
  fence: z.boolean(),
  release: z.boolean(),
  // Absent from nodes that booted before there was such a word.
  met: z.boolean().default(false),
  survey: survey.optional(),
  order: order.optional(),
  problem: saidText(512),
});

/** What a node says of a volume, or one line of what is wrong with that. */
export function parseVolumeReport(
  body: unknown,
):
  | { readonly ok: true; readonly report: VolumeReport }
  | { readonly ok: false; readonly why: string } {
  const parsed = report.safeParse(body);
  if (!parsed.success) return { ok: false, why: describeIssues(parsed.error) };
  const { survey, order, ...rest } = parsed.data;
  return {
    ok: true,
    report: { ...rest, ...(survey ? { survey } : {}), ...(order ? { order } : {}) },
  };
}
