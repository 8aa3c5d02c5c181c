import { matchesPath } from '../roles/match-path.ts';
import type { OverlayFile } from '../roles/overlay-file.ts';
import type { ReloadRule } from '../roles/role.ts';
import type { SharedSecret } from '../roles/shared-secret.ts';
import type { BootSet } from './boot-set.ts';

/** Of a secret what a node has of it; its certificate is made once, whatever its hosts are later. */
type HandedKey = Pick<SharedSecret, 'name' | 'path' | 'mode' | 'uid' | 'gid'>;

/** A boot set and the files of its overlay. */
export interface SetFiles {
  readonly set: { readonly [K in 'roles' | 'arguments']: BootSet[K] } & {
    readonly image: string;
    readonly secrets?: readonly HandedKey[];
  };
  readonly files: readonly OverlayFile[];
}

/** A file in which two sets of a node differ. */
export interface FileChange {
  readonly path: string;
  readonly change: 'added' | 'changed' | 'removed';
}

/** What a unit does when its files have changed. */
export interface UnitAction {
  readonly action: 'reload' | 'restart';
  readonly unit: string;
}

/** What it takes to make a running node what another boot set of it says. */
export type FollowPlan =
  /** It follows as it runs. */
  | {
      readonly kind: 'follow';
      readonly changes: readonly FileChange[];
      /** Shell commands that must succeed with the new files before any of them is in force. */
      readonly checks: readonly string[];
      readonly actions: readonly UnitAction[];
    }
  /** Only a boot makes it that; one reason for each thing that nobody can change on a running node. */
  | {
      readonly kind: 'reboot';
      readonly changes: readonly FileChange[];
      readonly reasons: readonly string[];
    };

/**
 * How a node that runs `from` becomes `to`, by the reload rules of the roles that it shall have: every changed
 * file must be in the paths of a rule. Of several rules that name a file, all are obeyed.
 */
export function planFollow(from: SetFiles, to: SetFiles, rules: readonly ReloadRule[]): FollowPlan {
  const changes = compareFiles(from.files, to.files);
  const reasons = [...compareSets(from.set, to.set), ...uncovered(changes, rules)];
  if (reasons.length > 0) return { kind: 'reboot', changes, reasons };
  const called = rules.filter((rule) => changes.some(({ path }) => covers(rule, path)));
  const checks = [...new Set(called.flatMap(({ check }) => check ?? []))];
  return { kind: 'follow', changes, checks, actions: actionsOf(called) };
}

/** The files that are not the same in both, sorted by path. */
export function compareFiles(
  from: readonly OverlayFile[],
  to: readonly OverlayFile[],
): readonly FileChange[] {
  const before = new Map(from.map((file) => [file.path, file]));
  const after = new Map(to.map((file) => [file.path, file]));
  return [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((path): FileChange[] => {
    const was = before.get(path);
    const is = after.get(path);
    if (!was) return [{ path, change: 'added' }];
    if (!is) return [{ path, change: 'removed' }];
    return isSameFile(was, is) ? [] : [{ path, change: 'changed' }];
  });
}

function isSameFile(a: OverlayFile, b: OverlayFile): boolean {
  if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false;
  if (a.kind === 'symlink' || b.kind === 'symlink') {
    return a.kind === 'symlink' && b.kind === 'symlink' && a.target === b.target;
  }
  return Buffer.from(a.content).equals(Buffer.from(b.content));
}

/** What of a boot set is in force from the kernel's start on. */
function compareSets(from: SetFiles['set'], to: SetFiles['set']): readonly string[] {
  const was = from.roles.join(', ');
  const is = to.roles.join(', ');
  return [
    ...(was === is ? [] : [`role ${was} → ${is}`]),
    ...(from.image === to.image ? [] : ['another image']),
    ...(from.arguments.join(' ') === to.arguments.join(' ') ? [] : ['other kernel arguments']),
    ...(describeKeys(from) === describeKeys(to) ? [] : ['other keys, which only a boot hands out']),
  ];
}

function describeKeys({ secrets = [] }: SetFiles['set']): string {
  const keys = secrets.map(({ name, path, mode, uid, gid }) => [path, name, mode, uid, gid].join());
  return keys.sort().join(';');
}

function uncovered(
  changes: readonly FileChange[],
  rules: readonly ReloadRule[],
): readonly string[] {
  const changed = new Set(changes.map(({ path }) => path));
  return changes.flatMap(({ path, change }) => {
    if (!rules.some((rule) => covers(rule, path))) {
      return [`no reload rule names ${path} (${change})`];
    }
    const folder = parentPaths(path).find((parent) => changed.has(parent));
    return folder === undefined ? [] : [`${folder} is a file in one set and a folder in the other`];
  });
}

function parentPaths(path: string): readonly string[] {
  const parts = path.split('/').slice(1, -1);
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join('/')}`);
}

function covers(rule: ReloadRule, path: string): boolean {
  return rule.paths.some((glob) => matchesPath(glob, path));
}

/** Each unit once, in the order of the rules; a restart does what a reload does. */
function actionsOf(rules: readonly ReloadRule[]): readonly UnitAction[] {
  const actions = new Map<string, UnitAction>();
  for (const { unit, action } of rules) {
    if (action === 'none') continue;
    if (action === 'restart' || !actions.has(unit)) actions.set(unit, { action, unit });
  }
  return [...actions.values()];
}
