import { lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { OverlayFile } from '../../src/roles/overlay-file.ts';
import { packOverlay } from '../../src/roles/pack-overlay.ts';
import { runProgram } from '../../src/system/run-program.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'rolecall-tar-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

const name = fc.stringMatching(/^[a-z][A-Za-z0-9._@: -]{0,20}$/);
const content = fc.oneof(fc.string({ maxLength: 600 }), fc.uint8Array({ maxLength: 1100 }));
const file = fc.record({
  path: fc.array(name, { minLength: 1, maxLength: 5 }).map((parts) => `/d:/${parts.join('/')}`),
  kind: fc.constant('file' as const),
  mode: fc.constantFrom(0o644, 0o600, 0o755, 0o640),
  uid: fc.integer({ min: 0, max: 65534 }),
  gid: fc.integer({ min: 0, max: 65534 }),
  content,
});
const link = fc.record({
  path: name.map((n) => `/l/${n}`),
  kind: fc.constant('symlink' as const),
  mode: fc.constant(0o777),
  uid: fc.constant(0),
  gid: fc.constant(0),
  target: name.map((n) => `/usr/lib/${n}`),
});

/** Files of which none is a folder of another. */
const overlay: fc.Arbitrary<OverlayFile[]> = fc
  .uniqueArray(fc.oneof(file, link), { maxLength: 12, selector: (f) => f.path })
  .filter((files) => files.every((f) => !files.some((g) => g.path.startsWith(`${f.path}/`))));

test('the same files in any order are the same bytes', async () => {
  await fc.assert(
    fc.asyncProperty(
      overlay.chain((files) =>
        fc.tuple(
          fc.constant(files),
          fc.shuffledSubarray(files, { minLength: files.length, maxLength: files.length }),
        ),
      ),
      async ([files, shuffled]) => {
        const one = await packOverlay(files);
        const two = await packOverlay(shuffled);
        expect(two.digest).toBe(one.digest);
        expect(two.bytes.equals(one.bytes)).toBe(true);
      },
    ),
    { numRuns: 100 },
  );
});

test.each([
  ['tar', ['--extract', '--numeric-owner', '--same-permissions', '--file', '-', '--directory']],
  ['busybox', ['tar', '-x', '-p', '-f', '-', '-C']],
])('what %s unpacks is what was packed', async (program, args) => {
  await fc.assert(
    fc.asyncProperty(overlay, async (files) => {
      const into = mkdtempSync(join(dir, 'out-'));
      const { bytes } = await packOverlay(files);
      await runProgram(program, [...args, into], { input: bytes });
      for (const f of files) {
        const at = join(into, f.path);
        if (f.kind === 'symlink') expect(readlinkSync(at)).toBe(f.target);
        else {
          expect(Buffer.compare(readFileSync(at), Buffer.from(f.content))).toBe(0);
          expect(lstatSync(at).mode & 0o7777).toBe(f.mode);
          expect(lstatSync(at).mtimeMs).toBe(0);
        }
      }
    }),
    { numRuns: 15 },
  );
});

test('headers carry numbers for the owner and no names', async () => {
  const { bytes } = await packOverlay([
    { path: '/etc/x', kind: 'file', mode: 0o640, uid: 33, gid: 8, content: 'x' },
    { path: '/etc/y', kind: 'symlink', mode: 0o777, uid: 0, gid: 0, target: '/etc/x' },
  ]);
  const { stdout } = await runProgram('tar', ['--list', '--verbose', '--file', '-'], {
    input: bytes,
    env: { TZ: 'UTC', LC_ALL: 'C' },
  });
  expect(stdout.split('\n').map((line) => line.replace(/ +/g, ' '))).toEqual([
    '-rw-r----- 33/8 1 1970-01-01 00:00 etc/x',
    'lrwxrwxrwx 0/0 0 1970-01-01 00:00 etc/y -> /etc/x',
  ]);
});

test('no files are an archive that holds none', async () => {
  const { bytes } = await packOverlay([]);
  expect(bytes.equals(Buffer.alloc(1024))).toBe(true);
});

describe('what ustar cannot hold is refused, as BusyBox passes over pax headers', () => {
  test.each([
    ['a name of more than 100 bytes', `/${'n'.repeat(101)}`],
    ['folders of more than 155 bytes', `${'/folder'.repeat(40)}/x`],
    ['no absolute path', 'etc/x'],
    ['a way out', '/etc/../x'],
    ['a backslash', '/etc/systemd/system/srv-a\\x2db.mount'],
    ['letters outside ASCII', '/etc/é'],
  ])('%s', async (_, path) => {
    await expect(
      packOverlay([{ path, kind: 'file', mode: 0o644, uid: 0, gid: 0, content: '' }]),
    ).rejects.toThrow('the overlay path');
  });

  test('a link to more than 100 bytes, and one path twice', async () => {
    const link = {
      path: '/l',
      kind: 'symlink',
      mode: 0o777,
      uid: 0,
      gid: 0,
      target: '/x',
    } as const;
    await expect(packOverlay([{ ...link, target: `/${'t'.repeat(100)}` }])).rejects.toThrow(
      'the overlay path',
    );
    await expect(packOverlay([link, link])).rejects.toThrow('holds /l twice');
  });

  test('a long path that ustar can split is not', async () => {
    const path = `/${'folder/'.repeat(20)}${'n'.repeat(90)}`;
    const { bytes } = await packOverlay([
      { path, kind: 'file', mode: 0o644, uid: 0, gid: 0, content: 'x' },
    ]);
    await runProgram('busybox', ['tar', '-x', '-f', '-', '-C', dir], { input: bytes });
    expect(readFileSync(join(dir, path), 'utf8')).toBe('x');
  });
});
