/** The smallest ELF-64 file with a section `.modinfo` that holds these texts. */
export function elfModule(texts: readonly string[]): Uint8Array {
  const names = Buffer.from('\0.modinfo\0.shstrtab\0', 'latin1');
  const modinfo = Buffer.from(texts.map((text) => `${text}\0`).join(''), 'latin1');
  const head = Buffer.alloc(64);
  head.write('\x7fELF\x02\x01\x01', 'latin1');
  head.writeBigUInt64LE(BigInt(64 + names.length + modinfo.length), 0x28);
  head.writeUInt16LE(64, 0x3a);
  head.writeUInt16LE(3, 0x3c);
  head.writeUInt16LE(2, 0x3e);
  const section = (name: number, offset: number, size: number) => {
    const entry = Buffer.alloc(64);
    entry.writeUInt32LE(name);
    entry.writeBigUInt64LE(BigInt(offset), 0x18);
    entry.writeBigUInt64LE(BigInt(size), 0x20);
    return entry;
  };
  return Buffer.concat([
    head,
    names,
    modinfo,
    section(0, 0, 0),
    section(1, 64 + names.length, modinfo.length),
    section(10, 64, names.length),
  ]);
}
