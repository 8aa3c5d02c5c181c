import { existsSync } from 'node:fs';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import { startProgram } from '../system/start-program.ts';
import type { LabNetwork } from './network.ts';
import { type Accelerator, renderQemuArgs, type VmPaths } from './qemu-args.ts';
import { type QmpCommand, runQmp } from './qmp.ts';
import type { NicModel, VmSpec } from './vm-spec.ts';

/** A guest that is switched on. */
export interface RunningVm {
  readonly spec: VmSpec;
  readonly paths: VmPaths;
  readonly pid: number;
  /** Resolves when QEMU has ended, with its exit code or signal. */
  readonly ended: Promise<string>;
  qmp(command: QmpCommand): Promise<unknown>;
  /** Pulls the plug. */
  kill(): Promise<void>;
}

/** The image's network card ROMs by card. */
export type Roms = Readonly<Partial<Record<NicModel, string>>>;

export interface VmSetting {
  readonly network: LabNetwork;
  /** Names of the taps of the guest's cards, in order. */
  readonly taps: readonly string[];
  readonly accelerator: Accelerator;
  readonly roms: Roms;
  /** The guest's folder, made where it is not there. */
  readonly folder: string;
}

/** QEMU's program, and where Debian's packages put the UEFI firmware. */
function partsOf({ processor, secureBoot }: VmSpec) {
  if (processor === 'arm64') {
    return {
      qemu: 'qemu-system-aarch64',
      code: '/usr/share/AAVMF/AAVMF_CODE.fd',
      vars: '/usr/share/AAVMF/AAVMF_VARS.fd',
      packages: 'qemu-efi-aarch64',
    };
  }
  // The variables of `.ms` hold Microsoft's keys and have Secure Boot switched on.
  const kind = secureBoot ? '.ms' : '';
  return {
    qemu: 'qemu-system-x86_64',
    code: `/usr/share/OVMF/OVMF_CODE_4M${kind}.fd`,
    vars: `/usr/share/OVMF/OVMF_VARS_4M${kind}.fd`,
    packages: 'ovmf',
  };
}

/** Paths in the guest's folder. */
export function vmPaths(folder: string, spec: VmSpec, roms: Roms): VmPaths {
  const rom = spec.rom === 'image' ? roms[spec.nicModel] : undefined;
  return {
    qmp: join(folder, 'qmp.sock'),
    console: join(folder, 'console.sock'),
    consoleLog: join(folder, 'console.log'),
    ...(rom === undefined ? {} : { rom }),
    ...(spec.firmware === 'uefi'
      ? { ovmfCode: partsOf(spec).code, ovmfVars: join(folder, 'vars.fd') }
      : {}),
  };
}

/** Switches a guest on, with fresh UEFI variables and an empty console log. */
export async function startVm(spec: VmSpec, setting: VmSetting): Promise<RunningVm> {
  const { folder, network } = setting;
  await mkdir(folder, { recursive: true });
  const paths = vmPaths(folder, spec, setting.roms);
  const { qemu, code, vars, packages } = partsOf(spec);
  if (paths.ovmfVars !== undefined) {
    if (!existsSync(code)) {
      throw new AppError('lab-no-ovmf', `no UEFI firmware ${code}`, `apt-get install ${packages}`);
    }
    await copyFile(vars, paths.ovmfVars);
  }
  for (const file of [paths.qmp, paths.console, paths.consoleLog]) await rm(file, { force: true });
  const args = renderQemuArgs(spec, paths, setting.taps, setting.accelerator);
  const log = join(folder, 'qemu.log');
  const program = await startProgram(...network.inside(qemu, args), { log });
  return {
    spec,
    paths,
    pid: program.pid,
    ended: program.ended.then((end) => end.signal ?? `exit code ${end.exitCode}; see ${log}`),
    qmp: (command) => runQmp(paths.qmp, command),
    kill: async () => {
      await program.stop(0);
    },
  };
}
