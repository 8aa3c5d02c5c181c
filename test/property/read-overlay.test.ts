import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type OverlayFile, rootLink } from '../../src/roles/overlay-file.ts';
import { packOverlay } from '../../src/roles/pack-overlay.ts';
import { readOverlay } from '../../src/roles/read-overlay.ts';

const name = fc.stringMatching(/^[a-zA-Z0-9_.@ -]{1,60}$/).filter((n) => n !== '.' && n !== '..');
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => `/${names.join('/')}`);
const id = fc.nat(65_534);
const file: fc.Arbitrary<OverlayFile> = fc.oneof(
  fc.record({
    ...{ path, kind: fc.constant('file' as const), mode: fc.constantFrom(0o644, 0o4755, 0o600) },
    ...{ uid: id, gid: id, content: fc.uint8Array({ maxLength: 1500 }) },
  }),
  fc.tuple(path, name).map(([at, target]) => rootLink(at, `/${target}`)),
);
const files = fc.uniqueArray(file, { selector: (f) => f.path, maxLength: 12 }).filter((all) =>
  // What ustar cannot hold is refused when it is packed.
  all.every((f) => f.path.length < 100),
);

const plain = (all: readonly OverlayFile[]) =>
  all
    .map((f) => (f.kind === 'file' ? { ...f, content: Buffer.from(f.content).toString('hex') } : f))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));

test('what was packed is read again, every byte and owner', async () => {
  await fc.assert(
    fc.asyncProperty(files, async (all) => {
      const { bytes } = await packOverlay(all);
      expect(plain(readOverlay(bytes))).toEqual(plain(all));
    }),
  );
});

test('a long path is read whole', async () => {
  const long = `/${'folder/'.repeat(20)}file`;
  const { bytes } = await packOverlay([rootLink(long, '/etc/x')]);
  expect(readOverlay(bytes).map((f) => f.path)).toEqual([long]);
});

test('an archive that is cut short is refused, or ends between two files', async () => {
  const content = 'x'.repeat(700);
  const all = ['/etc/a', '/etc/b'].map(
    (at) => ({ path: at, kind: 'file', mode: 0o644, uid: 0, gid: 0, content }) as const,
  );
  const { bytes } = await packOverlay(all);
  expect(() => readOverlay(bytes.subarray(0, 512 + 100))).toThrow('cut short');
  expect(() => readOverlay(bytes.subarray(0, 1536 + 512 + 600))).toThrow('cut short');
  expect(readOverlay(bytes.subarray(0, 1536))).toHaveLength(1);
});

test('a folder or a device in an archive is refused', async () => {
  const { bytes } = await packOverlay([rootLink('/etc/x', '/etc/y')]);
  const folder = Buffer.from(bytes);
  folder[156] = '5'.charCodeAt(0);
  expect(() => readOverlay(folder)).toThrow('is of type "5"');
});
