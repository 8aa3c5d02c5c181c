import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { labScenario } from '../lab/harness/lab-under-test.ts';

const shipped = resolve(import.meta.dirname, '../../images/universal.yaml');
let images: string;
beforeAll(async () => {
  images = await mkdtemp(join(tmpdir(), 'rc-suite-'));
});
afterAll(() => rm(images, { recursive: true }));

it('nodes boot an image of Debian 12, by the changes to the definition that the documentation names', async () => {
  const definition = (await readFile(shipped, 'utf8'))
    .replace('suite: trixie', 'suite: bookworm')
    .replace(/^ *ipxe-arm64\.efi:.*\n/m, '')
    .replaceAll('usr/share/qemu/', 'usr/lib/ipxe/qemu/');
  const edit = async (site: string) => {
    await mkdir(join(site, 'images'));
    await writeFile(join(site, 'images/universal.yaml'), definition);
  };
  const uefi = ['web2'];
  await labScenario({ name: 'Debian 12', images, uefi, edit }, async (lab) => {
    await Promise.all(['web1', 'web2'].map((node) => lab.waitStage(node, 'ready')));
    for (const node of ['web1', 'web2']) {
      expect(await lab.ssh(node, '. /etc/os-release; echo $VERSION_CODENAME')).toBe('bookworm');
    }
    expect((await lab.http('web1', '/')).body).toContain('web1');
  });
});
