import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type BootSet, createBootSet } from '../../../src/boot/boot-set.ts';
import type { BootInstance } from '../../../src/boot/kernel-args.ts';
import { digestOf } from '../../../src/digest.ts';
import {
  renderGrubConfig,
  renderGrubRefusal,
  renderGrubStart,
} from '../../../src/pxe/grub-config.ts';
import { runProgram } from '../../../src/system/run-program.ts';
import { makeFolder } from '../state/temporary-folder.ts';
import { ip, web1Mac } from './a-dhcp-site.ts';

const folder = makeFolder();
afterAll(() => rmSync(folder, { recursive: true }));

const blob = (part: string) => ({ digest: digestOf(part), size: 1 });
const set: BootSet = createBootSet({
  ...{ node: 'web1', roles: ['web', 'logs'], image: digestOf('image') },
  ...{ kernel: blob('kernel'), initramfs: blob('initramfs'), root: [blob('root')] },
  overlay: blob('overlay'),
  arguments: ['console=ttyS0,115200', 'odd=it\'s $HOME; a "b" \\ {c}'],
});
const boot: BootInstance = {
  ...{ bootId: 'b'.repeat(32), token: 'c'.repeat(64), mac: web1Mac, server: 'http://10.77.0.1' },
};

/** GRUB's own parser; refuses what GRUB would refuse on the machine's screen. */
async function checked(config: string): Promise<string> {
  const file = join(folder, 'grub.cfg');
  writeFileSync(file, config);
  await runProgram('grub-script-check', [file]);
  return config;
}

describe('the configuration of a machine', () => {
  test('loads kernel and initramfs by their digests, with the arguments of its boot', async () => {
    const config = await checked(renderGrubConfig(set, boot));
    expect(config).toContain(`linux '(http,10.77.0.1)/images/${set.kernel.digest}' 'BOOTIF=01-`);
    expect(config).toContain(`initrd '(http,10.77.0.1)/images/${set.initramfs.digest}'`);
    expect(config).toContain(`'rolecall.set=${set.digest}'`);
    expect(config).toContain("echo 'rolecall: web1 boots as web, logs (boot set ");
  });

  test('keeps what GRUB would expand as it stands', async () => {
    const config = await checked(renderGrubConfig(set, boot));
    expect(config).toContain(`'odd=it'\\''s $HOME; a "b" \\ {c}'`);
  });

  test('tries again, and restarts the machine at last', async () => {
    const config = await checked(renderGrubConfig(set, boot));
    expect(config).toMatch(/^for wait in 2 4 30; do$/m);
    expect(config.trimEnd()).toMatch(/reboot$/);
  });
});

test('a refusal says why, line by line, and boots nothing', async () => {
  const refusal = await checked(renderGrubRefusal("it's ignored\nbecause — of $this"));
  expect(refusal).toBe(
    "echo 'rolecall: it'\\''s ignored'\necho 'rolecall: because ? of $this'\nsleep 15\n",
  );
});

test('what GRUB reads first asks for the configuration of its machine, again and again', async () => {
  const start = await checked(renderGrubStart(`http://${ip('10.77.0.1')}:8080`));
  expect(start).toContain(
    'source "(http,10.77.0.1:8080)/boot/grub.cfg?mac=$net_default_mac&uuid=$uuid&serial=$serial&arch=$grub_cpu"',
  );
  expect(start).toMatch(/^while true; do$/m);
});
