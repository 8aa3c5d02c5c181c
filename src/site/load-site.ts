import type { Problem, Result } from '../errors.ts';
import { openRootedFolder, type RootedFolder } from '../system/rooted-folder.ts';
import { unreadable } from '../system/unreadable.ts';
import { parseSite, sortProblems } from './parse-site.ts';
import type { Site } from './site.ts';

/** Texts that stand in for files of the site, by path relative to it: an edit before it is written. */
export type EditedTexts = ReadonlyMap<string, string>;

/**
 * Reads the site in a folder, with `edited` in the place of its files where given. Gives back the
 * site, or every problem at once; refuses symlinks that lead out of the folder. Never throws for
 * anything that stands in the folder.
 */
export async function loadSite(
  dir: string,
  edited: EditedTexts = new Map(),
): Promise<Result<Site>> {
  const problems: Problem[] = [];
  const texts = await readSiteTexts(dir, problems);
  if (!texts) return { ok: false, problems };
  for (const [file, text] of edited) texts.set(file, text);
  const result = parseSite(texts);
  if (problems.length === 0) return result;
  return { ok: false, problems: sortProblems(result.ok ? problems : merge(problems, result)) };
}

/** A file that cannot be read is not also a file that is not there. */
function merge(unread: readonly Problem[], result: { readonly problems: readonly Problem[] }) {
  const known = new Set(unread.map((p) => p.file));
  return [...unread, ...result.problems.filter((p) => !known.has(p.file))];
}

/** The texts by file; undefined where there is no folder to read them from. */
async function readSiteTexts(
  dir: string,
  problems: Problem[],
): Promise<Map<string, string> | undefined> {
  const texts = new Map<string, string>();
  const folder = await attempt('', problems, () => openRootedFolder(dir));
  if (!folder) return undefined;
  await readText(folder, 'site.yaml', texts, problems);
  const entries = await attempt('nodes', problems, () => folder.list('nodes'));
  for (const { name, isFolder } of entries ?? []) {
    if (isEditorsOwn(name)) continue;
    const file = `nodes/${name}`;
    if (isFolder) {
      const message = 'role files in a folder of nodes/ would not be read';
      problems.push({ file, line: 0, path: '', message, hint: 'put them into nodes/ itself' });
    } else if (/\.ya?ml$|\.json$/i.test(name)) {
      const known = problems.length;
      await readText(folder, file, texts, problems);
      if (texts.has(file) || problems.length > known) continue;
      problems.push(fileProblem(file, 'is a link to nothing', 'put the file itself there'));
    }
  }
  return texts;
}

/** Swap files, backups and lock files that editors leave beside the file they edit. */
function isEditorsOwn(name: string): boolean {
  return name.startsWith('.') || name.startsWith('#') || name.endsWith('~');
}

async function readText(
  folder: RootedFolder,
  file: string,
  texts: Map<string, string>,
  problems: Problem[],
): Promise<void> {
  const bytes = await attempt(file, problems, () => folder.read(file));
  if (!bytes) return;
  try {
    texts.set(file, new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    problems.push(fileProblem(file, 'is not UTF-8 text', 'save it as UTF-8'));
  }
}

async function attempt<T>(
  file: string,
  problems: Problem[],
  read: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    const { message, hint } = unreadable(error) ?? { message: String(error), hint: '' };
    problems.push({ file, line: 0, path: '', message, hint });
    return undefined;
  }
}

function fileProblem(file: string, message: string, hint: string): Problem {
  return { file, line: 0, path: '', message: `the file ${message}`, hint };
}
