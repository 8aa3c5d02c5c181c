import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readImageFacts } from '../../../src/images/image-facts-of-root.ts';
import { findKernelVersion, requireKernelVersion } from '../../../src/images/kernel-version.ts';
import { parseUnitInstall } from '../../../src/roles/unit-file.ts';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'facts-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function put(path: string, text: string): Promise<void> {
  await mkdir(join(root, dirname(path)), { recursive: true });
  await writeFile(join(root, path), text);
}

describe('[Install] of a unit', () => {
  const none = { alias: [], wantedBy: [], requiredBy: [], also: [] };
  const cases: [string, string, object][] = [
    ['nothing', '[Unit]\nDescription=x\n[Service]\nWantedBy=not.here\n', none],
    [
      'every list',
      '[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target graphical.target\nAlias=sshd.service\nAlso=ssh.socket\nRequiredBy=a.target\n',
      {
        wantedBy: ['multi-user.target', 'graphical.target'],
        alias: ['sshd.service'],
        also: ['ssh.socket'],
        requiredBy: ['a.target'],
      },
    ],
    [
      'lists that grow, are emptied and continue on the next line',
      '[Install]\nWantedBy=a.target\nWantedBy=\nWantedBy=b.target \\\n  c.target\n# WantedBy=d.target\n',
      { ...none, wantedBy: ['b.target', 'c.target'] },
    ],
  ];
  it.each(cases)('%s', (_name, text, expected) => {
    expect(parseUnitInstall(text)).toEqual(expected);
  });
});

describe('facts of a root', () => {
  it('are empty for an empty root', async () => {
    expect(await readImageFacts(root)).toEqual({ packages: {}, units: {}, users: {}, groups: {} });
  });

  it('come from dpkg, systemd, passwd and group', async () => {
    await put(
      'var/lib/dpkg/status',
      'Package: zlib\nStatus: install ok installed\nVersion: 1:2-3\nDescription: x\n Version: 9\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: apt\nStatus: install ok installed\nVersion: 3.0\n',
    );
    await put(
      'etc/passwd',
      'root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:34::/var/www:/bin/false\n',
    );
    await put('etc/group', 'root:x:0:\nwww-data:x:34:\n');
    await put('usr/lib/systemd/system/ssh.service', '[Install]\nWantedBy=multi-user.target\n');
    await put('usr/lib/systemd/system/both.service', '[Install]\nWantedBy=a.target\n');
    await put('etc/systemd/system/both.service', '[Install]\nWantedBy=b.target\n');
    await put('usr/lib/systemd/system/README', 'no unit');
    await symlink('ssh.service', join(root, 'usr/lib/systemd/system/sshd.service'));
    const facts = await readImageFacts(root);
    expect(facts.packages).toEqual({ apt: '3.0', zlib: '1:2-3' });
    expect(facts.users).toEqual({ root: { uid: 0, gid: 0 }, 'www-data': { uid: 33, gid: 34 } });
    expect(facts.groups).toEqual({ root: 0, 'www-data': 34 });
    expect(Object.keys(facts.units)).toEqual(['both.service', 'ssh.service']);
    expect(facts.units['both.service']?.wantedBy).toEqual(['b.target']);
  });

  it('know the kernel, and refuse none and two', async () => {
    expect(await findKernelVersion(root)).toBeUndefined();
    await expect(requireKernelVersion(root)).rejects.toMatchObject({ code: 'no-kernel' });
    await mkdir(join(root, 'usr/lib/modules/6.12.1'), { recursive: true });
    expect(await requireKernelVersion(root)).toBe('6.12.1');
    await mkdir(join(root, 'usr/lib/modules/6.12.2'));
    await expect(findKernelVersion(root)).rejects.toMatchObject({ code: 'two-kernels' });
  });
});
