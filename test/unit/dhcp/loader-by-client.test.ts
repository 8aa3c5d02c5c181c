import { describe, expect, test } from 'vitest';
import { chooseLoader, loadersOf, neededLoaders } from '../../../src/pxe/loader-by-client.ts';
import { aDhcpSite, aNode } from './a-dhcp-site.ts';

const unsigned = { secureBoot: false } as const;
const signed = { secureBoot: true } as const;

describe('the loader of a client', () => {
  test.each([
    ['BIOS', 0, 'undionly.kpxe', 'ipxe.pxe', 'undionly.kpxe', 'undionly.kpxe'],
    ['x86-64', 7, 'ipxe.efi', 'ipxe.efi', 'snponly.efi', 'shimx64.efi'],
    ['x86-64, the other number', 9, 'ipxe.efi', 'ipxe.efi', 'snponly.efi', 'shimx64.efi'],
    ['x86-64 HTTP', 16, 'ipxe.efi', 'ipxe.efi', 'snponly.efi', 'shimx64.efi'],
    ['arm64', 11, 'grubaa64.efi', 'ipxe-arm64.efi', 'grubaa64.efi', 'shimaa64.efi'],
    ['arm64 HTTP', 19, 'grubaa64.efi', 'ipxe-arm64.efi', 'grubaa64.efi', 'shimaa64.efi'],
    ['x86, 32 bit', 6, undefined, undefined, undefined, undefined],
    ['unheard of', 99, undefined, undefined, undefined, undefined],
  ])('%s (%i)', (_name, arch, usual, native, firmware, secure) => {
    expect(chooseLoader(arch, unsigned)).toBe(usual);
    expect(chooseLoader(arch, { ...unsigned, flavour: 'native' })).toBe(native);
    expect(chooseLoader(arch, { ...unsigned, flavour: 'firmware' })).toBe(firmware);
    expect(chooseLoader(arch, signed)).toBe(secure);
  });

  test('is the signed one whatever the role file wishes, for no other would start', () => {
    expect(chooseLoader(7, { ...signed, flavour: 'native' })).toBe('shimx64.efi');
    expect(loadersOf({ ...signed, flavour: 'native' }, ['0', '7'])).toEqual([
      'ipxe.pxe',
      'shimx64.efi',
      'grubx64.efi',
    ]);
  });
});

describe('the loaders that a site cannot do without', () => {
  const site = aDhcpSite();

  test('are those that its machines get, and none of an architecture without images', () => {
    expect(neededLoaders(site)).toEqual(['undionly.kpxe', 'ipxe.efi']);
    const needed = ['undionly.kpxe', 'shimx64.efi', 'grubx64.efi'];
    expect(neededLoaders({ ...site, secureBoot: true })).toEqual(needed);
  });

  test('are more where a role file asks for another', () => {
    const nodes = [{ ...aNode('old1', []), loader: 'firmware' as const }];
    expect(neededLoaders(aDhcpSite({ nodes }))).toContain('snponly.efi');
  });
});
