import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startProgram } from '../system/start-program.ts';
import type { Accelerator } from './qemu-args.ts';

/** How guests are run, and why so, for the operator to read. */
export interface AcceleratorChoice {
  readonly accelerator: Accelerator;
  readonly reason: string;
}

/**
 * KVM where it really boots a kernel, else TCG. `/dev/kvm` alone proves nothing: under some nested
 * hypervisors firmware runs and a kernel hangs, so the image's own kernel is tried, without a root,
 * until its panic says that it got that far. This try is a throw-away machine, not a guest of the lab.
 * What it showed is kept in the file `memory` for as long as kernel, device and this machine's boot are the same.
 */
export async function chooseAccelerator(
  kernel: string,
  memory: string,
  host = { device: '/dev/kvm', tryKvm },
): Promise<AcceleratorChoice> {
  const usable = await access(host.device, constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!usable) return { accelerator: 'tcg', reason: `${host.device} cannot be opened` };
  const circumstances = await circumstancesOf(kernel, host.device);
  const known = await readFile(memory, 'utf8').then(JSON.parse, () => undefined);
  if (known?.circumstances === circumstances) return known.choice;
  const choice = await host.tryKvm(kernel);
  await mkdir(dirname(memory), { recursive: true });
  await writeFile(memory, JSON.stringify({ circumstances, choice }));
  return choice;
}

/** Where a state folder of builds keeps what the last try of KVM showed. */
export function acceleratorMemory(builds: string): string {
  return join(builds, 'accelerator.json');
}

/** All that a try's outcome hangs on: the device is made anew when its module is loaded with other parameters. */
async function circumstancesOf(kernel: string, device: string): Promise<string> {
  const [boot, made, file] = await Promise.all([
    readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
    stat(device),
    stat(kernel),
  ]);
  return [boot.trim(), made.ctimeMs, kernel, file.mtimeMs].join(' ');
}

async function tryKvm(kernel: string, timeLimit = 10_000): Promise<AcceleratorChoice> {
  const folder = await mkdtemp(join(tmpdir(), 'rolecall-kvm-'));
  const serial = join(folder, 'serial.log');
  const log = join(folder, 'qemu.log');
  const qemu = await startProgram(
    'qemu-system-x86_64',
    [
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
      ...['-machine', 'q35', '-accel', 'kvm', '-cpu', 'host', '-m', '512'],
      ...['-serial', `file:${serial}`],
      ...['-kernel', kernel, '-append', 'console=ttyS0 panic=-1'],
    ],
    { log },
  );
  try {
    let running = true;
    void qemu.ended.then(() => {
      running = false;
    });
    for (const until = Date.now() + timeLimit; Date.now() < until; await sleep(100)) {
      // Asked before the console is read: the panic may be QEMU's last word.
      const over = !running;
      const said = await readFile(serial, 'latin1').catch(() => '');
      if (/Kernel panic - not syncing: VFS|Unable to mount root fs/.test(said)) {
        return { accelerator: 'kvm', reason: 'a kernel booted under KVM' };
      }
      if (over) return { accelerator: 'tcg', reason: 'a machine under KVM ended at once' };
      if ((await readFile(log, 'latin1')).includes('KVM internal error')) {
        return { accelerator: 'tcg', reason: 'KVM could not run a kernel' };
      }
    }
    return { accelerator: 'tcg', reason: `no kernel booted under KVM in ${timeLimit / 1000} s` };
  } finally {
    await qemu.stop(0);
    await rm(folder, { recursive: true, force: true });
  }
}
