import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { writeLocalRepository } from '../../../src/images/local-repository.ts';
import { openPackageCache } from '../../../src/images/package-cache.ts';
import { openSuiteApt } from '../../../src/images/suite-apt.ts';
import { startSignedRepository } from '../../lab/harness/signed-repository.ts';

let folder = '';
afterEach(() => rm(folder, { recursive: true }));

it.each(['plain', 'two words', 'feature%2Fx', 'a,b [c] ü#'])(
  'apt finds keys and packages in a folder whose name is %s',
  async (name) => {
    folder = await mkdtemp(join(tmpdir(), 'odd-'));
    const odd = join(folder, name);
    await mkdir(odd);
    const key = join(odd, 'site.asc');
    const repository = await startSignedRepository(folder, 'words', key);
    try {
      const source = { uri: repository.uri, suite: 'site', components: ['main'] };
      const apt = await openSuiteApt({
        folder: join(odd, 'apt'),
        sources: {
          sources: [{ ...source, signedBy: key, trusted: false }],
          ...{ security: true, firmware: false, failures: [], aptOptions: [] },
          releases: undefined,
        },
        ...{ architecture: 'amd64', foreign: [], now: Date.now },
      });
      await apt.update();
      const found = await apt.download(['words']);
      expect(found).toMatchObject([{ name: 'words', version: '1.0' }]);
      const cache = openPackageCache(join(odd, 'packages'));
      await cache.fetch(found, { sources: [source], aptOptions: [] } as never, () => undefined);
      // Of the mirror it may be gone by now.
      await rm(join(folder, 'pool'), { recursive: true });
      await writeLocalRepository(join(odd, 'pinned'), 'site', found, cache);
      const world = { held: [], pins: found, repository: join(odd, 'pinned') };
      expect(await apt.install(['words'], world)).toEqual(found);
    } finally {
      repository.stop();
    }
  },
);
