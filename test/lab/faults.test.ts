import {
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { type RequestOptions, request } from 'node:http';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { connectThroughRelay } from '../../src/lab/relay.ts';
import type { Scenario } from '../../src/lab/scenario.ts';
import { labScenario } from './harness/lab-under-test.ts';
import { until } from './harness/processes.ts';

it('a boot is finished in spite of wrong bytes, a server that is killed, and a broken edit', async () => {
  await labScenario({ name: 'faults', only: ['web1'] }, (lab) => run(lab));
});

async function run(lab: Scenario): Promise<void> {
  const { state } = lab.lab.folder;
  const node = 'web1';
  const said = (text: string | RegExp) =>
    until(`the console says ${text}`, 180, async () => {
      const console = await lab.console(node);
      return typeof text === 'string' ? console.includes(text) : text.test(console);
    });

  // The firmware takes seconds to come to the script: both blobs are damaged long before they are fetched.
  const { root, overlay } = await bootSetOf(lab, node);
  const rootBlob = await ownCopyOfBlob(state, root);
  const overlayBlob = join(state, 'overlays', `${overlay}.tar`);
  await flipByte(rootBlob);
  await flipByte(overlayBlob);

  await said(
    /root from http:\/\/10\.77\.0\.1\/images\/[0-9a-f]{64}: has another SHA-256.*trying again in/,
  );
  await until('the server knows', 20, async () => {
    const row = await lab.row(node);
    return row.stage === 'failed' && row.reason.includes('SHA-256');
  });
  await flipByte(rootBlob);

  await said(
    /overlay from http:\/\/10\.77\.0\.1\/boot\/overlay\/[0-9a-f]{64}: has another SHA-256/,
  );
  expect(await lab.console(node)).not.toContain('the node takes over');
  process.kill(lab.lab.server().pid, 'SIGKILL');
  await flipByte(overlayBlob);
  await said('Connection refused; trying again');
  expect(await lab.console(node)).not.toContain('the node takes over');
  // Nothing is left to end: it starts on what the killed one left.
  await lab.lab.restartServer('SIGTERM');

  await lab.waitStage(node, 'ready', { retry: false });
  const scripts = (await lab.events(node)).filter((event) => event.kind === 'script-sent');
  expect(scripts, 'one boot, from its script to ready').toHaveLength(1);
  expect((await lab.http(node, '/')).body).toContain(node);

  await aBrokenEditStaysOffTheWire(lab, node);
}

async function aBrokenEditStaysOffTheWire(lab: Scenario, node: string): Promise<void> {
  const file = join(lab.site, 'nodes', `${node}.yaml`);
  const good = await readFile(file, 'utf8');
  const before = await scriptOf(lab, node);
  expect(before).toMatch(/rolecall\.set=[0-9a-f]{64}/);
  const problem = async () => (await admin(lab, '/api/v1/health')).problem;

  // Half of a file, as an editor or a copy over a slow line may leave it.
  await writeFile(file, good.slice(0, good.indexOf('role:') + 3));
  await until('the server complains', 30, async () => String(await problem()) !== '');
  expect(setIn(await scriptOf(lab, node))).toBe(setIn(before));

  await writeFile(file, good.replace(/role: *web/, 'role: mail'));
  await until('the server is content', 30, async () => String(await problem()) === '');
  const after = await scriptOf(lab, node);
  expect(setIn(after)).not.toBe(setIn(before));
  expect(after).toContain('boots as mail');
}

function setIn(script: string): string {
  return /rolecall\.set=([0-9a-f]{64})/.exec(script)?.[1] ?? '';
}

/** Digests of what the node will fetch, by the word of `rolecall explain`. */
async function bootSetOf(lab: Scenario, node: string) {
  const [row] = JSON.parse(await lab.rolecall('explain', node, '--json'));
  const manifest = await readFile(
    join(lab.lab.folder.state, 'images/manifests', `${row.image}.json`),
    'utf8',
  );
  return {
    root: String(JSON.parse(manifest).root[0].digest),
    overlay: String(row.overlay.digest),
  };
}

/** Gives this lab a blob that may be damaged: its images are a link to those that all labs share. */
async function ownCopyOfBlob(state: string, digest: string): Promise<string> {
  const images = join(state, 'images');
  const shared = await readlink(images);
  const own = join(state, 'own-images');
  await mkdir(join(own, 'blobs'), { recursive: true });
  for (const folder of ['manifests', 'tags'])
    await symlink(join(shared, folder), join(own, folder));
  for (const name of await readdir(join(shared, 'blobs'))) {
    if (name !== digest) await symlink(join(shared, 'blobs', name), join(own, 'blobs', name));
  }
  await copyFile(join(shared, 'blobs', digest), join(own, 'blobs', digest));
  await unlink(images);
  await rename(own, images);
  return join(images, 'blobs', digest);
}

/** Turns one byte in the middle round; a second call turns it back. */
async function flipByte(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const at = Math.floor((await file.stat()).size / 2);
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    await file.write(Buffer.of((byte[0] ?? 0) ^ 0xff), 0, 1, at);
  } finally {
    await file.close();
  }
}

/** The boot script that the server would send the node's machine now. */
async function scriptOf(lab: Scenario, node: string): Promise<string> {
  const [mac] = (await lab.row(node)).mac;
  const reached = await connectThroughRelay(lab.lab.network.relaySocket, '10.77.0.1', 80);
  if (reached.kind !== 'open') throw new Error(reached.reason);
  return get({ createConnection: () => reached.socket, path: `/boot/script?mac=${mac}` });
}

async function admin(lab: Scenario, path: string): Promise<Record<string, unknown>> {
  return JSON.parse(await get({ socketPath: lab.lab.adminSocket, path }));
}

function get(options: RequestOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const ask = request(options, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve(body));
    });
    ask.on('error', reject);
    ask.end();
  });
}
