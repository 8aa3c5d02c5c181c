import { existsSync } from 'node:fs';
import { copyFile, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import { type RunningProgram, startProgram } from '../system/start-program.ts';
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
  qmp(command: QmpCommand, settings?: Readonly<Record<string, unknown>>): Promise<unknown>;
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
    disks: spec.disks.map(({ serial }) => join(folder, `${serial}.raw`)),
    ...(rom === undefined ? {} : { rom }),
    ...(spec.firmware === 'uefi'
      ? { ovmfCode: partsOf(spec).code, ovmfVars: join(folder, 'vars.fd') }
      : {}),
  };
}

/** Takes a guest's disks away; it finds blank ones when it is switched on. */
export async function removeDisks(spec: VmSpec, folder: string): Promise<void> {
  for (const file of vmPaths(folder, spec, {}).disks) await rm(file, { force: true });
}

/**
 * Switches a guest on, with the disks as it left them, fresh UEFI variables and an empty console log. Refuses one
 * that QEMU cannot start, with what QEMU says.
 */
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
  for (const [i, disk] of spec.disks.entries()) {
    const file = paths.disks[i] ?? '';
    if (!existsSync(file)) await makeBlankDisk(file, disk.size);
  }
  const args = renderQemuArgs(spec, paths, setting.taps, setting.accelerator);
  const log = join(folder, 'qemu.log');
  await rm(log, { force: true });
  const program = await startProgram(...network.inside(qemu, args), { log });
  await untilItAnswers(spec, paths, program, log);
  return {
    spec,
    paths,
    pid: program.pid,
    ended: program.ended.then((end) => end.signal ?? `exit code ${end.exitCode}; see ${log}`),
    qmp: (command, settings) => runQmp(paths.qmp, command, settings),
    kill: async () => {
      await program.stop(0);
    },
  };
}

/** QEMU answers when it has all that the machine is made of; what it lacks ends it before. */
async function untilItAnswers(
  { name }: VmSpec,
  { qmp }: VmPaths,
  program: RunningProgram,
  log: string,
): Promise<void> {
  let hasEnded = false;
  void program.ended.then(() => {
    hasEnded = true;
  });
  // A host that starts many under emulation at once has let one wait for seconds.
  for (const until = Date.now() + 60_000; !hasEnded && Date.now() < until; await sleep(20)) {
    const answers = await runQmp(qmp, 'query-status').then(
      () => true,
      () => false,
    );
    if (answers) return;
  }
  await program.stop(0);
  const said = (await readFile(log, 'utf8')).trim().split('\n').slice(-3).join('\n');
  throw new AppError(
    'lab-qemu',
    `${name} does not start: ${said || 'its QEMU does not answer'}`,
    `all that QEMU said is in ${log}`,
  );
}

/** A sparse file: it takes room as it is written to. */
async function makeBlankDisk(path: string, size: number): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  await file.truncate(size * 1024 * 1024).finally(() => file.close());
}
