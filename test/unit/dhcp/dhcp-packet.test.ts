import { describe, expect, it } from 'vitest';
import { packDhcpPacket, parseDhcpPacket } from '../../../src/pxe/dhcp-packet.ts';
import { captureNames, readCapture } from '../../captures/read-capture.ts';
import { message } from './messages.ts';

/** A message with this options field, `sname` and `file`. */
function raw(options: readonly number[], fields: { file?: string; sname?: string } = {}): Buffer {
  const bytes = Buffer.alloc(240 + options.length);
  bytes.set([1, 1, 6, 0], 0);
  bytes.write(fields.sname ?? '', 44, 'latin1');
  bytes.write(fields.file ?? '', 108, 'latin1');
  bytes.set([0x63, 0x82, 0x53, 0x63], 236);
  bytes.set(options, 240);
  return bytes;
}

function parsed(bytes: Uint8Array) {
  const result = parseDhcpPacket(bytes);
  if (result.kind === 'refusal') throw new Error(result.reason);
  return result.packet;
}

function refused(bytes: Uint8Array): string {
  const result = parseDhcpPacket(bytes);
  return result.kind === 'refusal' ? result.reason : 'not refused';
}

const options = (bytes: Uint8Array) =>
  Object.fromEntries([...parsed(bytes).options].map(([code, value]) => [code, [...value]]));

describe('reading a message', () => {
  it('takes pad bytes between options', () => {
    expect(options(raw([0, 53, 1, 1, 0, 0, 12, 2, 65, 66, 0, 255]))).toEqual({
      53: [1],
      12: [65, 66],
    });
  });

  it('reads nothing after the end mark', () => {
    expect(options(raw([53, 1, 1, 255, 12, 200]))).toEqual({ 53: [1] });
  });

  it('takes a message whose options fill the datagram without an end mark', () => {
    expect(options(raw([53, 1, 3]))).toEqual({ 53: [3] });
  });

  it('takes an option of no bytes (RFC 4039: rapid commit)', () => {
    expect(options(raw([80, 0, 53, 1, 1, 255]))).toEqual({ 80: [], 53: [1] });
  });

  it('joins the parts of a long option (RFC 3396)', () => {
    expect(options(raw([77, 2, 1, 2, 53, 1, 1, 77, 1, 3, 255]))).toEqual({
      77: [1, 2, 3],
      53: [1],
    });
  });

  it('reads options in file and then sname where option 52 says so', () => {
    const bytes = raw([53, 1, 1, 52, 1, 3, 12, 1, 65, 255], {
      file: '\x0c\x01\x42\xff',
      sname: '\x0c\x01\x43\xff',
    });
    const packet = parsed(bytes);
    expect([...(packet.options.get(12) ?? [])]).toEqual([65, 66, 67]);
    expect([packet.file, packet.sname]).toEqual(['', '']);
  });

  it('leaves a file that is not overloaded alone', () => {
    const packet = parsed(raw([52, 1, 2, 255], { file: 'pxelinux.0', sname: '\x0c\x01\x43\xff' }));
    expect(packet.file).toBe('pxelinux.0');
    expect([...(packet.options.get(12) ?? [])]).toEqual([67]);
  });

  it.each([
    ['an option without length', raw([53, 1, 1, 12]), 'option 12 has no length'],
    ['an option cut off', raw([53, 1, 1, 12, 5, 65]), 'option 12 claims 5 bytes where 1 are left'],
    [
      'an option cut off in an overloaded field',
      raw([52, 1, 2, 255], { sname: `${'\0'.repeat(62)}\x0c\x05` }),
      'option 12 claims 5 bytes where 0 are left',
    ],
    ['a short datagram', Buffer.alloc(239), '239 bytes are no DHCP message'],
    ['an empty datagram', Buffer.alloc(0), '0 bytes are no DHCP message'],
  ])('refuses %s', (_what, bytes, reason) => {
    expect(refused(bytes)).toBe(reason);
  });

  it('refuses another cookie, op or a hardware address that cannot fit', () => {
    const broken = (at: number, value: number) => {
      const bytes = raw([53, 1, 1, 255]);
      bytes[at] = value;
      return refused(bytes);
    };
    expect(broken(236, 0)).toBe('the magic cookie is missing');
    expect(broken(0, 3)).toBe('op 3 is neither request nor reply');
    expect(broken(2, 17)).toBe('a hardware address of 17 bytes');
  });
});

describe('packing a message', () => {
  it('never makes less than 300 bytes', () => {
    expect(packDhcpPacket(message())).toHaveLength(300);
  });

  it('splits a long option', () => {
    const long = Uint8Array.from({ length: 600 }, (_v, i) => i % 251);
    const bytes = packDhcpPacket(message({ options: { 175: long } }), 1472);
    expect([...bytes.subarray(243, 245)]).toEqual([175, 255]);
    expect(parsed(bytes).options.get(175)).toEqual(long);
  });

  it('leaves out what does not fit, but never option 82, which is last', () => {
    const agent = Uint8Array.of(1, 2, 0, 7);
    const filled = { 12: 'a'.repeat(200), 15: 'b'.repeat(200), 42: 'cccc', 82: agent };
    const bytes = packDhcpPacket(message({ options: filled }), 548);
    const packet = parsed(bytes);
    expect(bytes.length).toBeLessThanOrEqual(548);
    expect([...packet.options.keys()]).toEqual([53, 12, 42, 82]);
    expect(packet.options.get(82)).toEqual(agent);
  });

  it('keeps the closing NUL of sname and file: a name too long for its field stays out', () => {
    const names = (sname: string, file: string) => {
      const packet = parsed(packDhcpPacket({ ...message(), sname, file }));
      return [packet.sname.length, packet.file.length];
    };
    expect(names('s'.repeat(63), 'f'.repeat(127))).toEqual([63, 127]);
    expect(names('s'.repeat(64), 'f'.repeat(128))).toEqual([0, 0]);
  });

  it.each(captureNames())('gives back what it read: %s', (name) => {
    // In whichever order its options stood.
    const read = (bytes: Uint8Array) => {
      const packet = parsed(bytes);
      return { ...packet, options: new Map(packet.options) };
    };
    const packet = read(readCapture(name));
    expect(read(packDhcpPacket(packet, 1472))).toEqual(packet);
  });
});
