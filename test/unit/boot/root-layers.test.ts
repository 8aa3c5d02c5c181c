import { expect, it } from 'vitest';
import { createBootSet, readBootSet } from '../../../src/boot/boot-set.ts';
import { type ImageManifest, readManifest, rootSize } from '../../../src/boot/image-manifest.ts';
import { bootArguments } from '../../../src/boot/kernel-args.ts';
import { digestOf } from '../../../src/digest.ts';
import { readScript } from '../../../src/probe/read-script.ts';
import { renderBootScript } from '../../../src/pxe/ipxe-script.ts';
import { web1Mac } from '../dhcp/a-dhcp-site.ts';

const blob = (what: string) => ({ digest: digestOf(what), size: what.length });
const parts = {
  ...{ node: 'web1', roles: ['web'], image: digestOf('image'), arguments: ['quiet'] },
  ...{ kernel: blob('kernel'), initramfs: blob('initramfs'), overlay: blob('overlay') },
};
const boot = {
  ...{ bootId: '0'.repeat(32), token: '0'.repeat(64), mac: web1Mac, server: 'http://10.77.0.1' },
};

it('a root of one layer is said to the kernel as it was before there were several', () => {
  const set = createBootSet({ ...parts, root: [blob('root')] });
  expect(bootArguments(set, boot)).toContain(`rolecall.root=${digestOf('root')}:4`);
});

it('of several the lowest is said first, and a probe fetches each', () => {
  const set = createBootSet({ ...parts, root: [blob('root'), blob('edge')] });
  const said = `rolecall.root=${digestOf('root')}:4,${digestOf('edge')}:4`;
  expect(bootArguments(set, boot)).toContain(said);
  const script = readScript(renderBootScript(set, boot));
  const roots = script.kind === 'boots' ? script.parts.filter(({ what }) => what === 'root') : [];
  expect(roots).toEqual(
    ['root', 'edge'].map((name) => ({
      ...{ what: 'root', ...blob(name), url: `http://10.77.0.1/images/${digestOf(name)}` },
    })),
  );
});

it('manifests and boot sets of before are still read', () => {
  const { root, ...set } = createBootSet({ ...parts, root: [blob('root')] });
  expect(readBootSet(JSON.stringify({ ...set, root: blob('root') }))).toEqual({ ...set, root });
  expect(readBootSet(JSON.stringify({ ...set, root }))).toEqual({ ...set, root });
  const old = { format: 1, name: 'universal', root: blob('root') };
  expect(readManifest(JSON.stringify(old))).toMatchObject({ format: 2, root: [blob('root')] });
});

it('a manifest of a later format is refused, not guessed at', () => {
  expect(() => readManifest('{"format":3,"root":{}}')).toThrow('has the format 3');
});

it('a root is as large as all its layers', () => {
  const { root } = { root: [blob('root'), blob('layer')] } as Pick<ImageManifest, 'root'>;
  expect(rootSize(root)).toBe(9);
});
