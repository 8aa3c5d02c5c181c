import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { arrangeRecords, type CpioRecord, packCpio, staticFile } from './cpio.ts';

/**
 * Where the kernel looks for processors' microcode before it does anything else: in an archive that is not
 * compressed, at the start of the initramfs (kernel: Documentation/arch/x86/microcode.rst).
 */
const vendors = [
  { folder: 'intel-ucode', files: /^[0-9a-f]{2}-[0-9a-f]{2}-[0-9a-f]{2}$/, as: 'GenuineIntel.bin' },
  { folder: 'amd-ucode', files: /^microcode_amd\w*\.bin$/, as: 'AuthenticAMD.bin' },
] as const;

/** That archive, of the microcode in a root's folder of firmware; empty where it has none. */
export async function packMicrocode(firmwareDir: string): Promise<Uint8Array> {
  const records: CpioRecord[] = [];
  for (const { folder, files, as } of vendors) {
    const names = await readdir(join(firmwareDir, folder)).catch(() => []);
    const wanted = names.filter((name) => files.test(name)).sort();
    if (wanted.length === 0) continue;
    const parts = await Promise.all(
      wanted.map((name) => readFile(join(firmwareDir, folder, name))),
    );
    records.push(staticFile(`kernel/x86/microcode/${as}`, Buffer.concat(parts)));
  }
  return records.length === 0 ? new Uint8Array() : packCpio(arrangeRecords(records));
}
