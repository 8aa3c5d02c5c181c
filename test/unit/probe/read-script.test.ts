import { expect, it } from 'vitest';
import { createBootSet } from '../../../src/boot/boot-set.ts';
import { digestOf } from '../../../src/digest.ts';
import { readScript } from '../../../src/probe/read-script.ts';
import { renderBootScript, renderRefusalScript } from '../../../src/pxe/ipxe-script.ts';
import { web1Mac } from '../dhcp/a-dhcp-site.ts';

const blob = (what: string) => ({ digest: digestOf(what), size: what.length });
const set = createBootSet({
  ...{ node: 'web1', roles: ['web'], image: digestOf('image'), arguments: ['quiet'] },
  ...{ kernel: blob('kernel'), initramfs: blob('initramfs'), root: [blob('root')] },
  overlay: blob('overlay'),
});
const server = 'http://10.77.0.1';

it('finds in a boot script what its machine fetches', () => {
  const boot = { bootId: '0'.repeat(32), token: '0'.repeat(64), mac: web1Mac, server };
  expect(readScript(renderBootScript(set, boot))).toEqual({
    kind: 'boots',
    parts: [
      { what: 'kernel', url: `${server}/images/${digestOf('kernel')}`, digest: digestOf('kernel') },
      {
        ...{ what: 'initramfs', digest: digestOf('initramfs') },
        url: `${server}/images/${digestOf('initramfs')}`,
      },
      { what: 'root', url: `${server}/images/${digestOf('root')}`, ...blob('root') },
      { what: 'overlay', url: `${server}/boot/overlay/${digestOf('overlay')}`, ...blob('overlay') },
    ],
  });
});

it('says what a script says that boots nothing', () => {
  const script = renderRefusalScript('no image is published', `${server}/boot/script`);
  expect(readScript(script)).toEqual({
    kind: 'refuses',
    why: 'rolecall: no image is published',
  });
  expect(readScript('#!ipxe\n')).toEqual({ kind: 'refuses', why: 'it names no kernel' });
});
