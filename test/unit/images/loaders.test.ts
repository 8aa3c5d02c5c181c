import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { StepOf } from '../../../src/images/build-step.ts';
import type { LockedPackage } from '../../../src/images/package-lock.ts';
import type { StepContext } from '../../../src/images/steps/executor.ts';
import { loaders } from '../../../src/images/steps/loaders.ts';
import { runProgram } from '../../../src/system/run-program.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rolecall-loaders-'));
  const tree = join(dir, 'tree');
  const put = async (path: string, text: string) => {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), text);
  };
  const about = ['Package: ipxe', 'Version: 1', 'Architecture: all', 'Maintainer: nobody'];
  await put('DEBIAN/control', [...about, 'Description: loaders', ''].join('\n'));
  // Debian 12 has its ipxe.efi so.
  await put('boot/of-the-package.efi', 'the loader');
  await mkdir(join(tree, 'usr/lib/ipxe'), { recursive: true });
  await symlink('/boot/of-the-package.efi', join(tree, 'usr/lib/ipxe/linked.efi'));
  // A file of this machine, and none of the package.
  await symlink('/etc/hostname', join(tree, 'usr/lib/ipxe/elsewhere.efi'));
  await runProgram('dpkg-deb', ['--build', '--root-owner-group', tree, join(dir, 'ipxe.deb')]);
});
afterEach(() => rm(dir, { recursive: true }));

async function take(path: string): Promise<string> {
  const [scratch, output] = [join(dir, 'scratch'), join(dir, 'output')];
  await mkdir(scratch);
  await mkdir(output);
  const of = { name: 'ipxe', version: '1', digest: 'd1' } as unknown as LockedPackage;
  const step = {
    kind: 'loaders',
    suite: 'bookworm',
    loaders: { 'ipxe.efi': { package: of, path } },
  };
  const packages = { file: () => join(dir, 'ipxe.deb') };
  const context = { scratch, output, packages } as unknown as StepContext;
  await loaders(step as unknown as StepOf<'loaders'>, context);
  return readFile(join(output, 'ipxe.efi'), 'utf8');
}

test('a loader that is a link in its package is what it leads to there', async () => {
  expect(await take('usr/lib/ipxe/linked.efi')).toBe('the loader');
});

test('a link that leads out of the package brings no file of this machine', async () => {
  await expect(take('usr/lib/ipxe/elsewhere.efi')).rejects.toMatchObject({ code: 'no-loader' });
});

test('where the package has it elsewhere, that is said', async () => {
  await expect(take('usr/lib/ipxe/of-the-package.efi')).rejects.toMatchObject({
    message:
      'the package ipxe of bookworm has no usr/lib/ipxe/of-the-package.efi for the loader ipxe.efi',
    hint: 'correct loaders: in the image definition; it has boot/of-the-package.efi',
  });
});
