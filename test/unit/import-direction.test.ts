import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const src = resolve(import.meta.dirname, '../../src');

/** A room may import from itself and from those before it. */
const rooms = [
  'root',
  'net',
  'system',
  'site',
  'volumes',
  'roles',
  'boot',
  'state',
  'pxe',
  'images',
  'http',
  'server',
  'guest',
  'lab',
  'rehearsal',
  'probe',
  'bench',
  'cli',
  'main',
];

/** `cli` of `cli/serve.ts`; files beside the rooms belong to none and come first, main.ts last. */
function roomOf(file: string): string {
  const path = relative(src, file);
  if (path === 'main.ts') return 'main';
  return path.includes('/') ? (path.split('/')[0] ?? '') : 'root';
}

test('imports point up the list of rooms', () => {
  const wrong: string[] = [];
  for (const name of readdirSync(src, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue;
    const file = join(src, name);
    const from = rooms.indexOf(roomOf(file));
    expect(from, `${name} stands in no known room`).toBeGreaterThanOrEqual(0);
    for (const [, target] of readFileSync(file, 'utf8').matchAll(/from '(\.{1,2}\/[^']+)'/g)) {
      const to = roomOf(resolve(dirname(file), target ?? ''));
      if (rooms.indexOf(to) > from) wrong.push(`${name} imports ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});
