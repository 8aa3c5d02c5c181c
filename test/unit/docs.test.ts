import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { loadCommands } from '../../src/cli/commands.ts';
import { adminRoutes } from '../../src/http/admin-routes.ts';

const root = resolve(import.meta.dirname, '../..');

/** Every Markdown file for readers, by path; those in `test/` are input of tests. */
const pages = new Map(
  readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md') && !/^(node_modules|test|\.git)\//.test(path))
    .sort()
    .map((path) => [path, readFileSync(join(root, path), 'utf8')]),
);

test('the pages are found', () => {
  expect([...pages.keys()]).toEqual(
    expect.arrayContaining(['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs/code-map.md']),
  );
});

describe('links', () => {
  test.each([...pages])('of %s lead somewhere', (page, text) => {
    const dead = linksOf(text).filter((link) => !isAlive(page, link));
    expect(dead).toEqual([]);
  });

  test('that lead nowhere are found', () => {
    expect(linksOf('[a](b.md) ![c](d.png) `[e](f)`')).toEqual(['b.md', 'd.png']);
    expect(isAlive('docs/roles.md', 'nowhere.md')).toBe(false);
    expect(isAlive('docs/roles.md', '../README.md')).toBe(true);
    expect(isAlive('docs/roles.md', '../../README.md')).toBe(false);
    expect(isAlive('docs/roles.md', '#roles')).toBe(true);
    expect(isAlive('docs/roles.md', '#no-such-heading')).toBe(false);
  });
});

/** Targets of links and pictures that are not on another host. */
function linksOf(text: string): readonly string[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
}

function isAlive(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const file = path === '' ? page : relative(root, join(root, dirname(page), path));
  if (file.startsWith('..') || !existsSync(join(root, file))) return false;
  return anchor === undefined || headings(pages.get(file) ?? '').includes(anchor);
}

/** Anchors as GitHub makes them of headings. */
function headings(text: string): readonly string[] {
  return [...withoutCode(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} -]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** Without indented and fenced blocks and code spans. */
function withoutCode(text: string): string {
  return text
    .replace(/^```[\s\S]*?^```$/gm, '')
    .replace(/^ {4,}.*$/gm, '')
    .replace(/`[^`\n]*`/g, '');
}

/** Code spans, and the lines of indented and fenced blocks. */
function codeOf(text: string): readonly string[] {
  const fenced = [...text.matchAll(/^```.*\n([\s\S]*?)^```$/gm)].flatMap(([, block = '']) =>
    block.split('\n'),
  );
  const rest = text.replace(/^```[\s\S]*?^```$/gm, '');
  const indented = [...rest.matchAll(/^ {4,}(.*)$/gm)].map(([, line = '']) => line);
  const spans = [...rest.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);
  return [...fenced, ...indented, ...spans];
}

const program = new Command('rolecall')
  .option('--site <dir>')
  .option('--state <dir>')
  .option('--json');
for (const register of await loadCommands()) {
  register(program, () => ({ site: '', state: '', json: false, supervised: false }));
}

/** What is wrong with a command line as a page shows it; empty where the program takes it. */
function faultOf(line: string): string {
  let command = program;
  for (const word of line.split(/\s+/).slice(1)) {
    if (word === '#' || /^[|&>;]/.test(word)) return '';
    if (word.startsWith('--')) {
      const option = word.replace(/[=,.:;)].*$/, '');
      const known = [command, program].some((c) => c.options.some((o) => o.long === option));
      if (!known) return `${line}: ${command.name()} has no ${option}`;
    } else if (command.commands.length > 0 && !/^[A-Z/.~…]/.test(word)) {
      const found = command.commands.find((c) => c.name() === word.replace(/[,.:;)]+$/, ''));
      if (!found) return `${line}: ${command.name()} has no ${word}`;
      command = found;
    }
  }
  return '';
}

/** Command lines of rolecall in a page's code, each from its name on. */
function commandLines(text: string): readonly string[] {
  return codeOf(text).flatMap((code) => {
    const found = /(?:^|&& |sudo |ExecStart=)(?:\S*\/)?(rolecall [a-z-].*)$/.exec(code)?.[1];
    return found === undefined ? [] : [found];
  });
}

describe('commands', () => {
  test.each([...pages])('of %s are the program’s', (_page, text) => {
    expect(commandLines(text).map(faultOf).filter(Boolean)).toEqual([]);
  });

  test('that the program does not have are found', () => {
    expect(faultOf('rolecall --site DIR node set-role web2 mail')).toBe('');
    expect(faultOf('rolecall node add web3 --mac 52:54:00:77:00:99 --role web')).toBe('');
    expect(faultOf('rolecall nodes ls')).toContain('has no nodes');
    expect(faultOf('rolecall node remove web3')).toContain('node has no remove');
    expect(faultOf('rolecall build --fast')).toContain('build has no --fast');
    expect(commandLines('say `bin/rolecall lab up`\n\n    rolecall check   # all\n')).toEqual([
      'rolecall check   # all',
      'rolecall lab up',
    ]);
  });

  test('every noun is on some page', () => {
    const lines = [...pages.values()].flatMap(commandLines);
    const words = lines.flatMap((line) => line.split(/\s+/));
    const missing = program.commands.map((c) => c.name()).filter((name) => !words.includes(name));
    expect(missing).toEqual([]);
  });
});

describe('the code map', () => {
  const map = pages.get('docs/code-map.md') ?? '';
  const paths = codeOf(map).filter((code) => /^[\w.@-]*\/[\w./@-]*$|^\w[\w-]*\.\w+$/.test(code));

  test('names files and folders that are there', () => {
    expect(paths.length).toBeGreaterThan(20);
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  test('names every folder of the sources and of the tests', () => {
    const folders = ['src', 'test'].flatMap((top) =>
      readdirSync(join(root, top), { withFileTypes: true })
        .filter((e) => e.isDirectory() && readdirSync(join(root, top, e.name)).length > 0)
        .map((e) => `${top}/${e.name}`),
    );
    expect(folders.filter((folder) => !paths.includes(folder))).toEqual([]);
  });
});

test('the endpoints page has every path of the admin listener', () => {
  const page = codeOf(pages.get('docs/ports-and-endpoints.md') ?? '');
  const missing = Object.values(adminRoutes).filter(({ path }) => !page.includes(path));
  expect(missing).toEqual([]);
});
