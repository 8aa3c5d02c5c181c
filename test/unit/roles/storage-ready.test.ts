import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import type { ImageFacts } from '../../../src/roles/image-facts.ts';
import { loadFleet } from '../../../src/roles/load-fleet.ts';
import { shippedRolesDir } from '../../../src/roles/load-roles.ts';
import { readyDir, renderOverlay } from '../../../src/roles/render-overlay.ts';
import { runProgram } from '../../../src/system/run-program.ts';
import { createNodeRoot, type NodeRoot } from './node-root.ts';

const golden = join(import.meta.dirname, '../../golden/overlay');
const facts = JSON.parse(await readFile(join(golden, 'facts.json'), 'utf8')) as ImageFacts;
const fleet = await loadFleet(join(import.meta.dirname, '../../lab/sites/storage'));
if (!fleet.ok) throw new Error(JSON.stringify(fleet.problems));
const node = fleet.value.site.nodes.get('nfs1');
if (!node) throw new Error('no nfs1');
const rendered = renderOverlay({ fleet: fleet.value, node, facts });
if (!rendered.ok) throw new Error(JSON.stringify(rendered.problems));

const [ready, conf] = [`${readyDir}/storage`, '/etc/rolecall/volumes/www.conf'];
const textOf = (path: string) => {
  const file = rendered.files.find((f) => f.path === path);
  if (file?.kind !== 'file') throw new Error(`no ${path}`);
  return String(file.content);
};
const state = '/usr/lib/rolecall/volume-state';
const stateText = await readFile(join(shippedRolesDir, 'storage/files', state), 'utf8');

/** Of NFS only that it answers is there. */
let root: string;
let put: NodeRoot['put'];

beforeEach(() => {
  ({ path: root, put } = createNodeRoot());
  put(ready, textOf(ready));
  put(conf, textOf(conf));
  put(state, stateText);
  put('/run/rolecall/boot', 'SERVER=http://10.77.0.1 BOOT=0\n');
  put('/proc/uptime', '12.34 20.00\n');
  put('/bin/rpcinfo', '#!/bin/sh\n');
});

const minor = /^MINOR=(\d+)$/m.exec(textOf(conf))?.[1] ?? '';
const drbd = (line: string) =>
  put('/proc/drbd', `version: 8.4.11 (api:1/proto:86-101)\n ${minor}: ${line}\n    ns:0 nr:0\n`);
const survey = (found: string) =>
  put(
    '/run/rolecall-volume/www/survey.json',
    `{"state":"${found === '' ? 'blank' : 'signed'}","bytes":268435456,"model":"www","found":"${found}"}`,
  );

async function ask(): Promise<string> {
  const { stdout, exitCode } = await runProgram('sh', [join(root, ready)], {
    env: { PATH: `${join(root, 'bin')}:${process.env.PATH}` },
    accept: [1],
  });
  return `${exitCode} ${stdout}`.trim();
}

it('a node that has just started is not ready before it has looked at its disk', async () => {
  const looks = '1 volume www: its disk is being looked at';
  expect(await ask()).toBe(looks);
  put('/proc/drbd', 'version: 8.4.11 (api:1/proto:86-101)\n');
  expect(await ask()).toBe(looks);
  drbd('cs:Unconfigured');
  expect(await ask()).toBe(looks);
});

it('says what is to be done where the disk holds no volume', async () => {
  survey('');
  expect(await ask()).toBe('1 volume www is not made yet: rolecall volume create www');
});

it('says which disk is missing, and not that it is to be written to', async () => {
  put('/run/rolecall-volume/www/survey.json', '{"state":"absent","bytes":0,"model":"","found":""}');
  expect(await ask()).toBe('1 volume www: there is no disk /dev/disk/by-id/virtio-www');
});

it('does not call a volume unmade that is there and comes up', async () => {
  survey('drbd');
  expect(await ask()).toBe('1 volume www: its copy is being brought up');
});

it('is ready with a copy that is up, alone or not', async () => {
  drbd('cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate C r-----');
  expect(await ask()).toBe('0');
  drbd('cs:WFConnection ro:Secondary/Unknown ds:UpToDate/DUnknown C r-----');
  expect(await ask()).toBe('0');
});

it('is not ready where the kernel gave its disk up', async () => {
  drbd('cs:Connected ro:Secondary/Primary ds:Diskless/UpToDate C r-----');
  expect(await ask()).toBe(
    '1 volume www: its disk /dev/disk/by-id/virtio-www has failed; the other copy is the only one',
  );
});
