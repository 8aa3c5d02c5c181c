import { isMap, LineCounter, type Node, parseDocument } from 'yaml';
import { z } from 'zod';
import type { Problem, Result } from '../errors.ts';

const packageName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9+.-]+$/, 'is no Debian package name (Debian policy 5.6.7)');
const relativePath = z
  .string()
  .refine(
    (path) => path !== '' && !path.startsWith('/') && !path.split('/').includes('..'),
    'must be a path below the root, without a leading slash and without ..',
  );

const shape = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'must be lower-case letters, digits and hyphens'),
  suite: z.string().regex(/^[a-z]+$/, "must be a Debian suite's code name, such as trixie"),
  variant: z.enum(['minbase', 'extract']).default('minbase'),
  kernel: z.record(z.enum(['amd64', 'arm64']), packageName.optional()),
  packages: z.array(packageName).default([]),
  rolePackages: z.boolean().default(true),
  date: z.coerce.date(),
  answers: z.array(z.string()).default([]),
  prune: z
    .strictObject({
      paths: z.array(relativePath).default([]),
      modules: z.array(relativePath).default([]),
    })
    .default({ paths: [], modules: [] }),
  loaders: z
    .record(
      relativePath,
      z.strictObject({
        package: packageName,
        architecture: z.enum(['amd64', 'arm64']).optional(),
        path: relativePath,
      }),
    )
    .default({}),
});

/** `images/<name>.yaml`: what an image is made of. */
export interface ImageDefinition {
  readonly name: string;
  /** Debian's code name, such as `trixie`. */
  readonly suite: string;
  /** As mmdebstrap's `--variant`: `extract` unpacks and configures nothing. */
  readonly variant: 'minbase' | 'extract';
  /** Kernel package by Debian architecture. */
  readonly kernel: Readonly<Partial<Record<'amd64' | 'arm64', string | undefined>>>;
  readonly packages: readonly string[];
  /** Whether the packages of all roles are added. */
  readonly rolePackages: boolean;
  /** SOURCE_DATE_EPOCH. */
  readonly date: Date;
  /** Lines for debconf-set-selections(1). */
  readonly answers: readonly string[];
  readonly prune: { readonly paths: readonly string[]; readonly modules: readonly string[] };
  /** Where each loader is found: Debian package, and path in it. */
  readonly loaders: Readonly<Record<string, LoaderSource>>;
}

export interface LoaderSource {
  readonly package: string;
  /** Debian's word; the image's own where absent. */
  readonly architecture?: 'amd64' | 'arm64' | undefined;
  readonly path: string;
}

/** The definition in a YAML text, or every problem of it with its line. */
export function parseImageDefinition(text: string, file: string): Result<ImageDefinition> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0) {
    return {
      ok: false,
      problems: document.errors.map((error) => ({
        file,
        line: lines.linePos(error.pos[0]).line,
        path: '',
        message: error.message.split('\n')[0] ?? 'is no YAML',
        hint: 'correct the YAML at this line',
      })),
    };
  }
  const parsed = shape.safeParse(document.toJS() ?? {});
  if (parsed.success) return { ok: true, value: parsed.data };
  const lineOf = (path: readonly PropertyKey[]): number => {
    for (let depth = path.length; depth > 0; depth--) {
      const range = (document.getIn(path.slice(0, depth), true) as Node | undefined)?.range;
      if (range) return lines.linePos(range[0]).line;
    }
    return isMap(document.contents) ? 1 : 0;
  };
  return {
    ok: false,
    problems: parsed.error.issues.map(
      (issue): Problem => ({
        file,
        line: lineOf(issue.path),
        path: issue.path.join('.'),
        message: issue.message,
        hint:
          issue.code === 'unrecognized_keys'
            ? `the keys of an image are ${Object.keys(shape.shape).join(', ')}`
            : 'images/universal.yaml shows every key',
      }),
    ),
  };
}
