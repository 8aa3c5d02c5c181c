import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { AppError, type Problem } from '../errors.ts';
import { buildImage } from '../images/build-image.ts';
import type { PlannedStep } from '../images/build-step.ts';
import { parseSize } from '../images/cache-limit.ts';
import type { PackageChange } from '../images/compare-images.ts';
import { describeStep } from '../images/describe-step.ts';
import { loadImageDefinition } from '../images/load-image-definition.ts';
import { siteLockFile } from '../images/lock-file.ts';
import { previewBuild } from '../images/preview-build.ts';
import { renderProblems } from '../render-problems.ts';
import { loadRoles } from '../roles/load-roles.ts';
import {
  missingForNamespace,
  readNamespaceFacts,
  runAsNamespaceRoot,
} from '../system/user-namespace.ts';
import { createBuildProgress } from './build-progress.ts';
import { type RegisterCommand, say } from './command.ts';
import { confirm } from './confirm.ts';
import { askPublishGate, type PublishGate } from './publish-gate.ts';
import { renderTable } from './table.ts';

interface BuildOptions {
  readonly plan?: boolean;
  readonly publish?: boolean;
  readonly update?: boolean;
  readonly locked?: boolean;
  readonly keepFailed?: boolean;
  readonly yes?: boolean;
  readonly cache?: string;
  readonly cacheLimit?: string;
  readonly architecture: string;
  readonly mirror?: string;
  readonly secret: readonly string[];
}

export const register: RegisterCommand = (program, globals) => {
  program
    .command('build')
    .description('build an image from Debian packages and store it')
    .argument('[image]', 'name of the image', 'universal')
    .option('--plan', 'show the steps, and which a build would not repeat; build nothing')
    .option('--publish', 'let nodes boot it (the first build of an image does so anyway)')
    .option('--update', "take today's version of every package; shows what changes and asks")
    .option('--yes', 'do not ask')
    .option('--keep-failed', 'leave the folder of a build that fails, and say where it is')
    .option('--locked', 'build exactly what images/<name>.<architecture>.lock holds, or refuse')
    .option('--cache <dir>', 'keep packages and steps there, as a CI does from job to job')
    .option('--cache-limit <size>', 'such as 4G: what was used longest ago goes, not what is used')
    .option(
      '--secret <name=file>',
      'a file that hooks may read; again for another one',
      collect,
      [],
    )
    .option('--architecture <name>', "Debian's word, such as amd64", hostArchitecture())
    .option('--mirror <url>', "a Debian mirror instead of this machine's own")
    .action(async (name: string, options: BuildOptions) => {
      const { site, state, json } = globals();
      const { architecture } = options;
      if (architecture !== 'amd64' && architecture !== 'arm64') {
        throw new AppError('usage', `no image is built for ${architecture}`, 'amd64 or arm64');
      }
      const [definition, roles] = await Promise.all([
        loadImageDefinition(site, name),
        loadRoles(site),
      ]);
      if (!definition.ok || !roles.ok) {
        throw invalid([
          ...(definition.ok ? [] : definition.problems),
          ...(roles.ok ? [] : roles.problems),
        ]);
      }
      const rolePackages = [...roles.value.values()].flatMap((role) => role.packages);
      const lockFile = (image: string) => siteLockFile(site, image, architecture);
      const about = {
        definition: definition.value,
        architecture,
        state,
        rolePackages,
        lockFile,
        ...(options.cache === undefined ? {} : { cache: resolve(options.cache) }),
      } as const;
      const cacheLimit = readLimit(options.cacheLimit);
      if (options.plan) {
        const steps = await previewBuild(about);
        say(json ? JSON.stringify(steps.map(planRow), null, 2) : renderPlan(steps));
        return;
      }
      if (process.getuid?.() !== 0) {
        process.exitCode = await buildAsUser(state);
        return;
      }
      const start = Date.now();
      if (options.locked && options.update) {
        throw new AppError('usage', '--locked and --update exclude each other', 'give one of them');
      }
      const progress = createBuildProgress(process.stderr, Date.now);
      let gate: PublishGate = { notes: [] };
      const { image, built, published, changes, securityUpdates } = await buildImage({
        ...about,
        ...(cacheLimit === undefined ? {} : { cacheLimit }),
        publish: options.publish ?? false,
        keepFailed: options.keepFailed ?? false,
        versions: options.locked ? 'locked' : options.update ? 'update' : 'extend',
        approve: async (found) => {
          progress.end();
          if (!json) say(renderChanges(found));
          if (!options.yes) await confirm('update');
        },
        secrets: readSecrets(options.secret),
        mayPublish: async (store, image) => {
          gate = await askPublishGate(globals(), store, image);
          return gate.refusal === undefined;
        },
        ...(options.mirror === undefined ? {} : { mirror: options.mirror }),
        now: Date.now,
        onEvent: json ? () => undefined : progress.show,
      }).finally(progress.end);
      if (json) {
        say(
          JSON.stringify(
            [
              {
                name,
                architecture,
                digest: image.digest,
                built,
                published,
                changes,
                securityUpdates,
              },
            ],
            null,
            2,
          ),
        );
        if (options.publish && gate.refusal) throw gate.refusal;
        return;
      }
      const seconds = ((Date.now() - start) / 1000).toFixed(1);
      say(
        built
          ? `image ${name} ${image.digest} built in ${seconds} s`
          : `image ${name} ${image.digest}: nothing changed, nothing to do (--update looks for newer packages)`,
      );
      for (const note of gate.notes) say(note);
      if (options.publish && gate.refusal) throw gate.refusal;
      if (published) say('published: nodes boot it from now on');
      else if (gate.refusal) say(`not published: ${gate.refusal.message}\n${gate.refusal.hint}`);
      else if (built) say(`not published: rolecall image publish ${image.digest.slice(0, 12)}`);
    });
};

/** The same command as root of a user namespace; says all that is missing for that. */
async function buildAsUser(state: string): Promise<number> {
  const missing = missingForNamespace(await readNamespaceFacts());
  if (missing.length > 0) {
    throw new AppError(
      'not-root',
      `an ordinary user can build here when root has done this:\n  ${missing.join('\n  ')}`,
      'or sudo rolecall build',
    );
  }
  // In there the user is root, whose state folder is another one.
  return runAsNamespaceRoot({ ROLECALL_STATE: state });
}

function readLimit(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const bytes = parseSize(text);
  if (bytes !== undefined) return bytes;
  throw new AppError('usage', `${text} is no size`, 'such as 500M or 4G');
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

/** Files by the name of their secret. */
function readSecrets(words: readonly string[]): Record<string, string> {
  const secrets: Record<string, string> = {};
  for (const word of words) {
    const [, name, file] = /^([A-Za-z0-9][\w.-]*)=(.+)$/.exec(word) ?? [];
    if (name === undefined || file === undefined) {
      throw new AppError('usage', `--secret ${word} names no file`, '--secret token=FILE');
    }
    if (!existsSync(file))
      throw new AppError('no-file', `there is no ${file}`, `--secret ${name}=FILE`);
    secrets[name] = resolve(file);
  }
  return secrets;
}

function planRow({ step, kept, why }: PlannedStep) {
  const { id, key, needs, kind } = step;
  return { id, kind, what: describeStep(step), needs, key, kept, why };
}

function renderChanges(changes: readonly PackageChange[]): string {
  return renderTable(
    ['package', 'change', 'from', 'to'],
    changes.map((c) => [c.package, c.change, c.from ?? '-', c.to ?? '-']),
  );
}

function renderPlan(steps: readonly PlannedStep[]): string {
  return renderTable(
    ['step', 'output', 'what', 'why'],
    steps.map(({ step, kept, why }) => [step.id, kept ? 'kept' : 'to do', describeStep(step), why]),
  );
}

/** Debian's word for this machine's processor. */
export function hostArchitecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}

function invalid(problems: readonly Problem[]): AppError {
  return new AppError('invalid-site', renderProblems(problems));
}
