import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { indexModules } from '../../../src/images/module-index.ts';

const version = '6.12.1-amd64';
const modules = `usr/lib/modules/${version}`;

let top = '';
beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), 'rolecall-modules-'));
});
afterEach(() => rm(top, { recursive: true }));

async function put(root: string, path: string, text: string): Promise<void> {
  await mkdir(dirname(join(top, root, path)), { recursive: true });
  await writeFile(join(top, root, path), text);
}

/** A root as a kernel's package leaves it, with lists of modules that are pruned by now. */
async function makeRoot(root: string): Promise<void> {
  await put(root, `${modules}/kernel/drivers/net/igb.ko.xz`, 'igb');
  await put(root, `${modules}/modules.order`, 'kernel/drivers/net/igb.ko');
  await put(root, `${modules}/modules.dep`, 'also of modules that are pruned');
  await put(root, `${modules}/modules.stale`, 'of another depmod');
  await put(root, 'usr/bin/kmod', 'kmod 34');
}

let runs = 0;
/** Says which modules there are, and how often it was asked. */
async function depmod(root: string): Promise<void> {
  runs += 1;
  const kernel = join(root, modules, 'kernel');
  const names = (await readdir(kernel, { recursive: true })).sort();
  await writeFile(join(root, modules, 'modules.dep'), names.join('\n'));
  await writeFile(join(root, modules, 'modules.dep.bin'), `run ${runs}`);
}

/** The lists that the root has then. */
async function index(root: string): Promise<Readonly<Record<string, string>>> {
  await indexModules(join(top, root), version, join(top, 'kept'), depmod);
  const lists = (await readdir(join(top, root, modules))).filter((n) => n.startsWith('modules.'));
  const read = lists.map(async (n) => [n, await readFile(join(top, root, modules, n), 'utf8')]);
  return Object.fromEntries(await Promise.all(read));
}

it('takes the lists of the same modules from where they are kept', async () => {
  await makeRoot('one');
  const made = await index('one');
  expect(Object.keys(made).sort()).toEqual(['modules.dep', 'modules.dep.bin', 'modules.order']);
  expect(made['modules.dep']).toContain('igb.ko.xz');
  await makeRoot('two');
  expect(await index('two')).toEqual(made);
  // They are there already.
  expect(await index('two')).toEqual(made);
});

it.each([
  ['another module', `${modules}/kernel/drivers/net/e1000.ko.xz`],
  ['other bytes of a module', `${modules}/kernel/drivers/net/igb.ko.xz`],
  ['another order', `${modules}/modules.order`],
  ['another depmod', 'usr/bin/kmod'],
  ['a setting of depmod', 'etc/depmod.d/site.conf'],
])('makes them anew for %s', async (_what, path) => {
  await makeRoot('one');
  const made = await index('one');
  await makeRoot('two');
  await put('two', path, 'other');
  expect((await index('two'))['modules.dep.bin']).not.toBe(made['modules.dep.bin']);
});

it('makes them anew where what is kept is damaged', async () => {
  await makeRoot('one');
  const made = await index('one');
  const [entry = ''] = await readdir(join(top, 'kept'));
  await appendFile(join(top, 'kept', entry, 'modules.dep'), 'x');
  const again = await index('one');
  expect(again['modules.dep']).toBe(made['modules.dep']);
  expect(again['modules.dep.bin']).not.toBe(made['modules.dep.bin']);
  expect(await readdir(join(top, 'kept'))).toEqual([entry]);
  expect(await index('one')).toEqual(again);
});
