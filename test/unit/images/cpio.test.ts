import { expect, test } from 'vitest';
import {
  arrangeRecords,
  folder,
  packCpio,
  staticFile,
  symbolicLink,
} from '../../../src/images/cpio.ts';

test('a newc archive, byte by byte', () => {
  const archive = packCpio([
    folder('a', 0o755),
    staticFile('a/f', 'hello', 0o640),
    symbolicLink('a/l', 'f'),
  ]);
  const zero = '00000000';
  const header = (inode: number, mode: string, links: number, size: number, name: number) =>
    [
      '070701',
      `0000000${inode}`,
      mode,
      zero,
      zero,
      `0000000${links}`,
      zero,
      `0000000${size}`,
      zero,
      zero,
      zero,
      zero,
      `0000000${name.toString(16)}`,
      zero,
    ].join('');
  expect(Buffer.from(archive).toString('latin1')).toBe(
    [
      `${header(1, '000041ed', 2, 0, 2)}a\0`,
      `${header(2, '000081a0', 1, 5, 4)}a/f\0\0\0hello\0\0\0`,
      `${header(3, '0000a1ff', 1, 1, 4)}a/l\0\0\0f\0\0\0`,
      `${header(0, zero, 1, 0, 11)}TRAILER!!!\0\0\0\0`,
    ].join(''),
  );
});

test('records are sorted by bytes and missing folders come before what is in them', () => {
  const records = arrangeRecords([
    symbolicLink('z', 'a'),
    staticFile('a/b/file', ''),
    staticFile('a-b', ''),
    folder('a', 0o700),
    staticFile('é', ''),
  ]);
  expect(records.map((record) => record.path)).toEqual(['a', 'a-b', 'a/b', 'a/b/file', 'z', 'é']);
  expect(records[0]).toEqual(folder('a', 0o700));
  expect(records[2]).toEqual(folder('a/b', 0o755));
});

test('the order of the input does not matter', () => {
  const records = [staticFile('b/x', '1'), staticFile('a/x', '2'), symbolicLink('c', 'a')];
  expect(packCpio(arrangeRecords(records))).toEqual(
    packCpio(arrangeRecords([...records].reverse())),
  );
});

test.each(['/etc/passwd', '../x', 'a//b', 'a/./b', '', 'a\0b'])(
  'the path %j is refused',
  (path) => {
    expect(() => arrangeRecords([staticFile(path, '')])).toThrow('no path inside an archive');
  },
);

test('one path twice is refused', () => {
  expect(() => arrangeRecords([staticFile('init', 'a'), folder('init')])).toThrow('init twice');
});
