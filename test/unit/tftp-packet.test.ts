import { describe, expect, it } from 'vitest';
import {
  encodeTftpPacket,
  parseTftpPacket,
  printableText,
  type TftpPacket,
} from '../../src/pxe/tftp-packet.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const options = (...pairs: [string, string][]) => new Map(pairs);

describe('a packet and its bytes', () => {
  const cases: [string, string, TftpPacket][] = [
    [
      'read request',
      '\0\x01boot/loader/undionly.kpxe\0octet\0',
      { kind: 'rrq', file: 'boot/loader/undionly.kpxe', mode: 'octet', options: options() },
    ],
    [
      'read request with options',
      '\0\x01a\0octet\0tsize\x000\0blksize\x001456\0',
      {
        kind: 'rrq',
        file: 'a',
        mode: 'octet',
        options: options(['tsize', '0'], ['blksize', '1456']),
      },
    ],
    [
      'write request',
      '\0\x02a\0netascii\0',
      { kind: 'wrq', file: 'a', mode: 'netascii', options: options() },
    ],
    ['data', '\0\x03\xff\xfeabc', { kind: 'data', block: 65534, data: bytes('abc') }],
    ['empty data', '\0\x03\0\x01', { kind: 'data', block: 1, data: bytes('') }],
    ['acknowledgement', '\0\x04\x01\0', { kind: 'ack', block: 256 }],
    [
      'error',
      '\0\x05\0\x01file not found\0',
      { kind: 'error', code: 1, message: 'file not found' },
    ],
    [
      'option acknowledgement',
      '\0\x06blksize\x001456\0',
      { kind: 'oack', options: options(['blksize', '1456']) },
    ],
  ];
  it.each(cases)('%s', (_name, wire, packet) => {
    expect(parseTftpPacket(bytes(wire))).toEqual({ ok: true, packet });
    expect(encodeTftpPacket(packet).toString('latin1')).toBe(wire);
  });
});

describe('what clients send beyond the letter', () => {
  const read = (wire: string) => {
    const parsed = parseTftpPacket(bytes(wire));
    if (!parsed.ok || parsed.packet.kind !== 'rrq') throw new Error('no read request');
    return parsed.packet;
  };

  it('reads mode and option names in any case', () => {
    expect(read('\0\x01a\0OcTeT\0BlkSize\x00512\0')).toMatchObject({
      mode: 'octet',
      options: options(['blksize', '512']),
    });
  });

  it('takes the first of two values for one option', () => {
    expect(read('\0\x01a\0octet\0blksize\x00512\0BLKSIZE\x001024\0').options).toEqual(
      options(['blksize', '512']),
    );
  });

  it('passes over padding and a name without a value', () => {
    expect(read('\0\x01a\0octet\0tsize\x000\0\0\0\0\0').options).toEqual(options(['tsize', '0']));
    expect(read('\0\x01a\0octet\0tsize\x000\0blksize\0').options).toEqual(options(['tsize', '0']));
  });

  it('reads an acknowledgement with padding after it', () => {
    expect(parseTftpPacket(bytes('\0\x04\0\x07\0\0\0\0'))).toEqual({
      ok: true,
      packet: { kind: 'ack', block: 7 },
    });
  });

  it('reads an error whose message has no zero at its end', () => {
    expect(parseTftpPacket(bytes('\0\x05\0\x08aborted'))).toEqual({
      ok: true,
      packet: { kind: 'error', code: 8, message: 'aborted' },
    });
  });

  it('keeps every byte of a name', () => {
    const name = String.fromCharCode(...Array.from({ length: 255 }, (_, i) => i + 1));
    const wire = encodeTftpPacket({ kind: 'rrq', file: name, mode: 'octet', options: options() });
    expect(read(wire.toString('latin1')).file).toBe(name);
  });
});

describe('what is no packet', () => {
  it.each([
    ['nothing', '', false],
    ['three bytes', '\0\x04\0', false],
    ['an unknown opcode', '\0\x07\0\0', false],
    ['opcode 0', '\0\0\0\0', false],
    ['a high byte in the opcode', '\x01\x04\0\x01', false],
    ['an option acknowledgement without a zero at its end', '\0\x06tsize\x001', false],
    ['a request without a zero at its end', '\0\x01a\0octet', true],
    ['a request without a file name', '\0\x01\0octet\0', true],
    ['a request without a mode', '\0\x01abc\0', true],
    ['a write request without a mode', '\0\x02abc\0', true],
    ['data above the largest block', `\0\x03\0\x01${'x'.repeat(65465)}`, false],
  ])('%s', (_name, wire, request) => {
    expect(parseTftpPacket(bytes(wire))).toMatchObject({ ok: false, request });
  });
});

it('shows a name without what would steer a terminal', () => {
  expect(printableText('a\x1b[2Jb\n\xe9')).toBe('a?[2Jb??');
  expect(printableText('x'.repeat(500))).toHaveLength(128);
});
