import { mkdtemp, readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { arrangeRecords, type CpioRecord, packCpio } from '../../src/images/cpio.ts';
import { runProgram } from '../../src/system/run-program.ts';

const name = fc.stringMatching(/^[a-zA-Z0-9_é ][a-zA-Z0-9_.é -]{0,11}$/);
/** No entry is a folder of another one: files are `x/f-…`, links `x/l-…`, folders `x/d-…`. */
const record: fc.Arbitrary<CpioRecord> = fc.oneof(
  fc.record({
    kind: fc.constant('file' as const),
    path: fc.tuple(name, name).map(([a, b]) => `d-${a}/f-${b}`),
    mode: fc.constantFrom(0o600, 0o644, 0o755, 0o400),
    data: fc.uint8Array({ maxLength: 300 }),
  }),
  fc.record({
    kind: fc.constant('link' as const),
    path: name.map((a) => `l-${a}`),
    target: name,
  }),
  fc.record({
    kind: fc.constant('folder' as const),
    path: name.map((a) => `d-${a}`),
    mode: fc.constantFrom(0o700, 0o755),
  }),
);
const records = fc.uniqueArray(record, { selector: (r) => r.path, maxLength: 12 });

async function readTree(root: string, path: string): Promise<CpioRecord> {
  const full = join(root, path);
  const target = await readlink(full).catch(() => undefined);
  if (target !== undefined) return { kind: 'link', path, target };
  const { mode } = await stat(full);
  return (await readdir(full).catch(() => undefined))
    ? { kind: 'folder', path, mode: mode & 0o7777 }
    : { kind: 'file', path, mode: mode & 0o7777, data: new Uint8Array(await readFile(full)) };
}

test('GNU cpio lists and unpacks what was packed', async () => {
  await fc.assert(
    fc.asyncProperty(records, async (wanted) => {
      const arranged = arrangeRecords(wanted);
      const archive = packCpio(arranged);
      const list = await runProgram('cpio', ['-it', '--quiet'], { input: archive });
      expect(list.stdout).toBe(arranged.map((r) => r.path).join('\n'));

      const folder = await mkdtemp(join(tmpdir(), 'rolecall-cpio-'));
      try {
        await runProgram('cpio', ['-id', '--quiet'], { input: archive, cwd: folder });
        const found = await Promise.all(arranged.map((r) => readTree(folder, r.path)));
        expect(found).toEqual(arranged);
      } finally {
        await rm(folder, { recursive: true });
      }
    }),
    { numRuns: 40 },
  );
});
