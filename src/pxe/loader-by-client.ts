/** What a client architecture number means here. */
export interface Architecture {
  /** For an operator's eyes. */
  readonly name: string;
  readonly firmware: 'bios' | 'uefi';
  /** File name of the loader; absent where no image has one yet. */
  readonly loader?: string;
}

/** Client architectures by number (RFC 4578 §2.1 and IANA's "Processor Architecture Types"). */
export const architectures: Readonly<Record<number, Architecture>> = {
  0: { name: 'BIOS', firmware: 'bios', loader: 'undionly.kpxe' },
  6: { name: 'UEFI x86 (32 bit)', firmware: 'uefi' },
  7: { name: 'UEFI x86-64', firmware: 'uefi', loader: 'ipxe.efi' },
  // RFC 4578 gives 9 to x86-64 and 7 to byte code; firmware was built to either reading.
  9: { name: 'UEFI x86-64', firmware: 'uefi', loader: 'ipxe.efi' },
  10: { name: 'UEFI ARM (32 bit)', firmware: 'uefi' },
  11: { name: 'UEFI ARM64', firmware: 'uefi' },
  15: { name: 'UEFI x86 (32 bit) HTTP', firmware: 'uefi' },
  16: { name: 'UEFI x86-64 HTTP', firmware: 'uefi', loader: 'ipxe.efi' },
  18: { name: 'UEFI ARM (32 bit) HTTP', firmware: 'uefi' },
  19: { name: 'UEFI ARM64 HTTP', firmware: 'uefi' },
};

/** Every loader that DHCP may name, each once: the server checks at start that it has them. */
export const loaderFiles: readonly string[] = [
  ...new Set(Object.values(architectures).flatMap((a) => a.loader ?? [])),
];
