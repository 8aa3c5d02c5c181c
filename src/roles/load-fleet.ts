import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { AppError, type Problem, type Result } from '../errors.ts';
import { type EditedTexts, loadSite } from '../site/load-site.ts';
import { parseYaml, type YamlPlace } from '../site/yaml-file.ts';
import { openRootedFolder } from '../system/rooted-folder.ts';
import { unreadable } from '../system/unreadable.ts';
import { checkFleet, siteFilesOf } from './check-fleet.ts';
import type { Fleet } from './fleet.ts';
import { loadRoles, shippedRolesDir } from './load-roles.ts';
import type { Role } from './role.ts';

/**
 * The site of a folder with its roles, checked together: every problem of site, roles and the
 * parameters, or a fleet of which any node can be rendered. `edited` shows what an edit would give.
 */
export async function loadFleet(
  siteDir: string,
  options: { readonly shippedRoles?: string; readonly edited?: EditedTexts } = {},
): Promise<Result<Fleet>> {
  const edited: EditedTexts = options.edited ?? new Map();
  const loadedSite = await loadSite(siteDir, edited);
  const loadedRoles = await loadRoles(siteDir, options.shippedRoles ?? shippedRolesDir);
  if (!loadedSite.ok || !loadedRoles.ok) {
    return {
      ok: false,
      problems: [
        ...(loadedSite.ok ? [] : loadedSite.problems),
        ...(loadedRoles.ok ? [] : loadedRoles.problems),
      ],
    };
  }
  const site = loadedSite.value;
  const roles = loadedRoles.value;
  const problems: Problem[] = [];
  const siteTexts = new Map<string, string>();
  for (const path of siteFilesOf(site, roles)) {
    const text = await readSiteText(siteDir, path, edited);
    if (typeof text === 'string') siteTexts.set(path, text);
  }
  const fleet = { site, roles, sources: await readSources(siteDir, roles, problems), siteTexts };
  if (problems.length > 0) return { ok: false, problems };
  problems.push(...checkFleet(fleet));
  return problems.length === 0
    ? { ok: true, value: fleet }
    : { ok: false, problems: await withLines(siteDir, problems, edited) };
}

/** The text of a file in the site; undefined where there is none or it may not be read. */
async function readSiteText(
  siteDir: string,
  path: string,
  edited: EditedTexts,
): Promise<string | undefined> {
  const text = edited.get(path);
  if (text !== undefined) return text;
  try {
    const folder = await openRootedFolder(siteDir);
    return (await folder.read(path))?.toString('utf8');
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

async function readSources(
  siteDir: string,
  roles: ReadonlyMap<string, Role>,
  problems: Problem[],
): Promise<ReadonlyMap<string, string | Uint8Array>> {
  const files = [...roles.values()].flatMap((role) => role.tree);
  const sources = new Map<string, string | Uint8Array>();
  for (const file of files) {
    if (file.kind === 'symlink') continue;
    try {
      const bytes = await readFile(file.source);
      sources.set(file.source, asText(bytes) ?? bytes);
    } catch (error) {
      const why = unreadable(error);
      if (!why) throw error;
      problems.push({ file: relative(siteDir, file.source), line: 0, path: '', ...why });
    }
  }
  return sources;
}

function asText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Problems with the line of the deepest key of their path that their file holds. */
export async function withLines(
  siteDir: string,
  problems: readonly Problem[],
  edited: EditedTexts = new Map(),
): Promise<readonly Problem[]> {
  const places = new Map<string, YamlPlace | undefined>();
  for (const { file, line } of problems) {
    if (line !== 0 || file === '' || places.has(file)) continue;
    const text = await readSiteText(siteDir, file, edited);
    places.set(file, text === undefined ? undefined : parseYaml(file, text, []));
  }
  return problems.map((problem) => {
    const place = problem.line === 0 ? places.get(problem.file) : undefined;
    return place ? { ...problem, line: lineOf(place, problem.path) } : problem;
  });
}

/** Keys may hold dots themselves, so the longest key that the path begins with is taken. */
function lineOf(place: YamlPlace, path: string): number {
  if (path === '') return place.line;
  const inside = place.isMapping
    ? place.entries()
    : place.isList
      ? place.items().map((item, i) => [String(i), item] as const)
      : [];
  for (const [key, item] of inside) {
    if (path === key) return item.line;
    if (path.startsWith(`${key}.`)) return lineOf(item, path.slice(key.length + 1));
  }
  return place.line;
}
