import { expect, test } from 'vitest';
import {
  moduleName,
  parseModuleLists,
  planModules,
  renderModulesDep,
  selectAliases,
} from '../../../src/images/kernel-modules.ts';

const lists = {
  dep: [
    'kernel/drivers/net/ethernet/realtek/r8169.ko.xz: kernel/drivers/net/phy/libphy.ko.xz',
    'kernel/drivers/net/ethernet/broadcom/bnx2x.ko.xz: kernel/lib/libcrc32c.ko.xz',
    'kernel/drivers/net/ethernet/mellanox/mlxsw/mlxsw_core.ko.xz:',
    'kernel/drivers/net/ethernet-like/other.ko.xz:',
    'kernel/drivers/net/phy/libphy.ko.xz: kernel/drivers/net/mdio/mdio-bus.ko.xz',
    'kernel/drivers/net/mdio/mdio-bus.ko.xz:',
    'kernel/drivers/net/phy/realtek.ko.xz: kernel/drivers/net/phy/libphy.ko.xz',
    'kernel/lib/libcrc32c.ko.xz:',
    'kernel/crypto/crc32c_generic.ko.xz:',
    'kernel/fs/squashfs/squashfs.ko.xz:',
    'kernel/sound/snd.ko.xz:',
    '',
  ].join('\n'),
  builtin: 'kernel/drivers/block/loop.ko\n',
  softdep: [
    '# Soft dependencies extracted from modules themselves.',
    'softdep r8169 pre: realtek',
    'softdep libcrc32c pre: crypto-crc32c',
    'softdep snd post: nothing',
    '',
  ].join('\n'),
  alias: [
    '# Aliases extracted from modules themselves.',
    'alias pci:v000010ECd00008168sv*sd*bc*sc*i* r8169',
    'alias crypto-crc32c crc32c_generic',
    'alias crypto-crc32c crc32c_intel',
    'alias mdio:0000000000011100110010?????????? realtek',
    'alias char-major-116-* snd',
    '',
  ].join('\n'),
};
const index = parseModuleLists(lists);
const nothing = { folders: [], names: [], required: [], except: [] };

test.each([
  ['kernel/drivers/net/phy/fixed-phy.ko.xz', 'fixed_phy'],
  ['kernel/fs/squashfs/squashfs.ko', 'squashfs'],
  ['kernel/drivers/net/xen-netfront.ko.zst', 'xen_netfront'],
  ['8021q', '8021q'],
])('the module in %s is %s', (path, name) => {
  expect(moduleName(path)).toBe(name);
});

test('a wanted folder brings its modules, what they need, and what they softly need', () => {
  expect(
    planModules(index, {
      ...nothing,
      folders: ['kernel/drivers/net/ethernet'],
      except: ['kernel/drivers/net/ethernet/mellanox/mlxsw'],
    }),
  ).toEqual([
    'kernel/crypto/crc32c_generic.ko.xz',
    'kernel/drivers/net/ethernet/broadcom/bnx2x.ko.xz',
    'kernel/drivers/net/ethernet/realtek/r8169.ko.xz',
    'kernel/drivers/net/mdio/mdio-bus.ko.xz',
    'kernel/drivers/net/phy/libphy.ko.xz',
    'kernel/drivers/net/phy/realtek.ko.xz',
    'kernel/lib/libcrc32c.ko.xz',
  ]);
});

test('what is built in needs no file, and an optional module may be missing', () => {
  expect(
    planModules(index, { ...nothing, required: ['loop', 'squashfs'], names: ['hv_netvsc'] }),
  ).toEqual(['kernel/fs/squashfs/squashfs.ko.xz']);
});

test('every missing required module is named at once', () => {
  expect(() => planModules(index, { ...nothing, required: ['loop', 'overlay', 'e1000'] })).toThrow(
    'the kernel has no overlay, e1000',
  );
});

test('aliases and dependencies of the chosen modules only', () => {
  const chosen = ['kernel/crypto/crc32c_generic.ko.xz', 'kernel/drivers/net/phy/realtek.ko.xz'];
  expect(selectAliases(index, chosen)).toBe(
    'alias crypto-crc32c crc32c_generic\nalias mdio:0000000000011100110010?????????? realtek\n',
  );
  expect(renderModulesDep(index, chosen)).toBe(
    [
      'kernel/drivers/net/phy/realtek.ko.xz: kernel/drivers/net/phy/libphy.ko.xz\n',
      'kernel/crypto/crc32c_generic.ko.xz:\n',
    ].join(''),
  );
});

test('a module that busybox cannot expand is listed by its expanded name', () => {
  const zstd = parseModuleLists({ ...lists, dep: 'a/x.ko.zst: a/y.ko.zst\na/y.ko.zst:\n' });
  expect(renderModulesDep(zstd, ['a/x.ko', 'a/y.ko'])).toBe('a/x.ko: a/y.ko\na/y.ko:\n');
});
