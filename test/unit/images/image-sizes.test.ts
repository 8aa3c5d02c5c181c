import { describe, expect, it } from 'vitest';
import {
  measureImage,
  parseSquashfsListing,
  stackListings,
} from '../../../src/images/image-sizes.ts';

const listing =
  parseSquashfsListing(`drwxr-xr-x 0/0                     257 2025-08-09 00:00 squashfs-root
drwxr-xr-x 0/0                     257 2025-08-09 00:00 squashfs-root/usr
drwxr-xr-x 0/0                     257 2025-08-09 00:00 squashfs-root/usr/bin
lrwxrwxrwx 0/0                       7 2025-08-09 00:00 squashfs-root/bin -> usr/bin
crw-rw-rw- 0/0                   1,  3 2025-08-09 00:00 squashfs-root/dev/null
-rwsr-xr-x 0/0                    1000 2025-08-09 00:00 squashfs-root/usr/bin/a b
-rw-r--r-- 12/345                  500 2025-08-09 00:00 squashfs-root/usr/share/x/y
-rw-r--r-- 0/0                      40 2025-08-09 00:00 squashfs-root/var/made
`);

describe('the listing of a squashfs', () => {
  it('has every name with its bytes', () => {
    expect(listing.filter(({ bytes }) => bytes > 0)).toEqual([
      { path: '/usr/bin/a b', type: '-', bytes: 1000 },
      { path: '/usr/share/x/y', type: '-', bytes: 500 },
      { path: '/var/made', type: '-', bytes: 40 },
    ]);
    expect(listing.find(({ type }) => type === 'l')?.path).toBe('/bin');
    expect(listing.find(({ type }) => type === 'c')?.path).toBe('/dev/null');
  });

  it('stacks as overlayfs does: what is above hides, a whiteout takes away', () => {
    const above = parseSquashfsListing(`-rw-r--r-- 0/0 7 2025-08-09 00:00 squashfs-root/var/made
c--------- 0/0                   0,  0 1970-01-01 00:00 squashfs-root/usr/bin
-rw-r--r-- 0/0 3 2025-08-09 00:00 squashfs-root/usr/share
`);
    const seen = stackListings([listing, above]);
    expect(seen.filter(({ bytes }) => bytes > 0)).toEqual([
      { path: '/var/made', type: '-', bytes: 7 },
      { path: '/usr/share', type: '-', bytes: 3 },
    ]);
    expect(seen.map(({ path }) => path)).not.toContain('/usr/bin');
  });
});

describe('what makes a root big', () => {
  const sizes = measureImage(listing, [
    { name: 'small', installed: 4096, paths: ['/.', '/bin/a b', '/usr/share/doc/gone'] },
    { name: 'whole', installed: 4096, paths: ['/usr/share/x/y'] },
  ]);

  it('is told by package, through the links of a merged /usr', () => {
    expect(sizes.packages).toEqual([
      { package: 'small', bytes: 1000, pruned: 3096 },
      { package: 'whole', bytes: 500, pruned: 0 },
    ]);
    expect(sizes).toMatchObject({ bytes: 1540, unowned: 40 });
  });

  it('is told by folder, and of a folder in a folder only where there is more to say', () => {
    expect(sizes.folders).toEqual([
      { folder: '/usr', bytes: 1500 },
      { folder: '/usr/bin', bytes: 1000 },
      { folder: '/usr/share/x', bytes: 500 },
      { folder: '/var', bytes: 40 },
    ]);
  });
});
