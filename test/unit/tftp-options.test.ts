import { describe, expect, it } from 'vitest';
import { agreeTerms, decideRequest } from '../../src/pxe/tftp-options.ts';

describe('which requests are served', () => {
  const decide = (kind: 'rrq' | 'wrq', file: string, mode: string) =>
    decideRequest({ kind, file, mode, options: new Map() });

  it.each([
    ['a name', 'boot/loader/ipxe.efi', 'boot/loader/ipxe.efi'],
    ['a leading slash', '/boot/loader/ipxe.efi', 'boot/loader/ipxe.efi'],
    ['several', '///grubx64.efi', 'grubx64.efi'],
  ])('%s', (_name, file, served) => {
    expect(decide('rrq', file, 'octet')).toEqual({ kind: 'serve', file: served });
  });

  it.each([
    ['a write', 'wrq', 'octet', 2],
    ['a write of mail', 'wrq', 'mail', 2],
    ['netascii', 'rrq', 'netascii', 0],
    ['mail', 'rrq', 'mail', 4],
    ['an unknown mode', 'rrq', 'binary', 4],
  ] as const)('refuses %s', (_name, kind, mode, code) => {
    expect(decide(kind, 'a', mode)).toMatchObject({ kind: 'refuse', code });
  });
});

describe('terms', () => {
  const size = 1_000_000;
  const plain = { blockSize: 512, windowSize: 1, timeout: undefined };
  it.each([
    ['no option', {}, plain, {}],
    ['a small block', { blksize: '8' }, { ...plain, blockSize: 8 }, { blksize: '8' }],
    [
      'a block below what fits',
      { blksize: '1456' },
      { ...plain, blockSize: 1456 },
      { blksize: '1456' },
    ],
    [
      'a block above what fits',
      { blksize: '65464' },
      { ...plain, blockSize: 1468 },
      { blksize: '1468' },
    ],
    ['a block below the RFC', { blksize: '7' }, plain, {}],
    ['a block above the RFC', { blksize: '65465' }, plain, {}],
    ['a block that is no number', { blksize: '1k' }, plain, {}],
    ['a negative block', { blksize: '-8' }, plain, {}],
    ['an empty block', { blksize: '' }, plain, {}],
    ['the size', { tsize: '0' }, plain, { tsize: '1000000' }],
    ['a time-out', { timeout: '3' }, { ...plain, timeout: 3000 }, { timeout: '3' }],
    ['a time-out of nothing', { timeout: '0' }, plain, {}],
    ['a time-out that would hold a transfer for minutes', { timeout: '255' }, plain, {}],
    ['a window', { windowsize: '4' }, { ...plain, windowSize: 4 }, { windowsize: '4' }],
    [
      'a window above the limit',
      { windowsize: '65535' },
      { ...plain, windowSize: 64 },
      { windowsize: '64' },
    ],
    ['a window of nothing', { windowsize: '0' }, plain, {}],
    ['an unknown option', { multicast: '', rollover: '0' }, plain, {}],
  ])('%s', (_name, asked, terms, acknowledged) => {
    const { acknowledge, ...agreed } = agreeTerms(new Map(Object.entries(asked)), size);
    expect(agreed).toEqual(terms);
    expect(Object.fromEntries(acknowledge)).toEqual(acknowledged);
  });

  it('answers in the order of the request', () => {
    const asked = new Map([
      ['windowsize', '4'],
      ['tsize', '0'],
      ['odd', '1'],
      ['blksize', '1024'],
    ]);
    expect([...agreeTerms(asked, 5).acknowledge]).toEqual([
      ['windowsize', '4'],
      ['tsize', '5'],
      ['blksize', '1024'],
    ]);
  });

  it('keeps a window of large blocks within its bytes', () => {
    const limits = { blockSize: 65464, windowSize: 64, windowBytes: 131072 };
    const asked = new Map([
      ['blksize', '65464'],
      ['windowsize', '64'],
    ]);
    expect(agreeTerms(asked, size, limits)).toMatchObject({ blockSize: 65464, windowSize: 2 });
  });
});
