import { z } from 'zod';
import { type Digest, parseDigest } from '../digest.ts';

/** What `image test` found of one role in one image. */
export interface RoleVerdict {
  readonly outcome: 'passed' | 'failed' | 'not tried';
  /** ISO 8601, UTC. */
  readonly at: string;
  /** Digest of the role as it was then. */
  readonly role: Digest;
  /** Figures, or the reason. */
  readonly detail: string;
}

/** The last word on each role of one image; no part of the image, so it may change. */
export interface ImageTests {
  readonly format: 1;
  /** Name of the site that was played. */
  readonly site: string;
  /** By name of the role. */
  readonly roles: Readonly<Record<string, RoleVerdict>>;
}

/** A role that must have passed, as it is now. */
export interface WantedRole {
  readonly name: string;
  readonly digest: Digest;
}

/** Whether an image passed its tests, and what to mind. */
export interface TestJudgement {
  /** Every wanted role passed. */
  readonly tested: boolean;
  /** Roles that failed, or could not be tried: `mail failed: no answer within 15 seconds`. */
  readonly faults: readonly string[];
  /** Roles that were never tried in this image. */
  readonly missing: readonly string[];
  /** Roles that passed, and were edited since. */
  readonly changed: readonly string[];
}

const digest = z.string().transform((text, context): Digest => {
  const parsed = parseDigest(text);
  if (parsed !== undefined) return parsed;
  context.addIssue('is no digest');
  return z.NEVER;
});

const shape = z.object({
  format: z.literal(1),
  site: z.string(),
  roles: z.record(
    z.string(),
    z.object({
      outcome: z.enum(['passed', 'failed', 'not tried']),
      at: z.iso.datetime(),
      role: digest,
      detail: z.string(),
    }),
  ),
});

/** The tests in a parsed file; undefined where it holds something else. */
export function parseImageTests(value: unknown): ImageTests | undefined {
  const parsed = shape.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

/** The newer word on each role; of the same time the second. */
export function mergeTests(before: ImageTests | undefined, after: ImageTests): ImageTests {
  const roles: Record<string, RoleVerdict> = { ...before?.roles };
  for (const [name, verdict] of Object.entries(after.roles)) {
    const known = roles[name];
    if (!known || known.at <= verdict.at) roles[name] = verdict;
  }
  return { format: 1, site: after.site, roles };
}

/** Compares what was found with what the site asks for. */
export function judgeTests(
  tests: ImageTests | undefined,
  wanted: readonly WantedRole[],
): TestJudgement {
  const faults: string[] = [];
  const missing: string[] = [];
  const changed: string[] = [];
  for (const { name, digest: now } of wanted) {
    const verdict = tests?.roles[name];
    if (!verdict) missing.push(name);
    else if (verdict.outcome !== 'passed') {
      faults.push(
        `${name} ${verdict.outcome}${verdict.detail === '' ? '' : `: ${verdict.detail}`}`,
      );
    } else if (verdict.role !== now) changed.push(name);
  }
  return { tested: faults.length === 0 && missing.length === 0, faults, missing, changed };
}
