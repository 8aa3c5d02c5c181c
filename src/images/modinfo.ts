import { AppError } from '../errors.ts';

/**
 * What a kernel module says of itself under one key, such as every `firmware` file it may ask for:
 * the `key=value` texts of the ELF section `.modinfo`, in their order.
 * Takes an uncompressed 64-bit little-endian module; refuses anything else.
 */
export function parseModinfo(module: Uint8Array, key: string): readonly string[] {
  const section = modinfoSection(Buffer.from(module.buffer, module.byteOffset, module.byteLength));
  const prefix = `${key}=`;
  return section
    .toString('latin1')
    .split('\0')
    .filter((text) => text.startsWith(prefix))
    .map((text) => text.slice(prefix.length));
}

/** ELF-64: the section headers' place, size and number, and the index of the names' section. */
const elf = { sectionOffset: 0x28, entrySize: 0x3a, entryCount: 0x3c, namesIndex: 0x3e } as const;

function modinfoSection(bytes: Buffer): Buffer {
  if (
    bytes.length < 64 ||
    bytes.readUInt32BE(0) !== 0x7f454c46 ||
    bytes[4] !== 2 ||
    bytes[5] !== 1
  ) {
    throw new AppError('module-format', 'not a 64-bit little-endian ELF file');
  }
  const start = Number(bytes.readBigUInt64LE(elf.sectionOffset));
  const entrySize = bytes.readUInt16LE(elf.entrySize);
  const count = bytes.readUInt16LE(elf.entryCount);
  const sections = Array.from({ length: count }, (_, index) => {
    const at = start + index * entrySize;
    const offset = Number(bytes.readBigUInt64LE(at + 0x18));
    return {
      name: bytes.readUInt32LE(at),
      data: bytes.subarray(offset, offset + Number(bytes.readBigUInt64LE(at + 0x20))),
    };
  });
  const names = sections[bytes.readUInt16LE(elf.namesIndex)]?.data ?? Buffer.alloc(0);
  const nameAt = (at: number) => names.toString('latin1', at, names.indexOf(0, at));
  return sections.find((section) => nameAt(section.name) === '.modinfo')?.data ?? Buffer.alloc(0);
}
