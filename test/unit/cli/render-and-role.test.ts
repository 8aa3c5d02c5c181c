import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { register as check } from '../../../src/cli/check.ts';
import { register as node } from '../../../src/cli/node.ts';
import { register as render } from '../../../src/cli/render.ts';
import { register as role } from '../../../src/cli/role.ts';
import { openImageStore } from '../../../src/images/image-store.ts';
import type { ImageFacts } from '../../../src/roles/image-facts.ts';
import { runCommands } from './run-rolecall.ts';

const golden = join(import.meta.dirname, '../../golden/overlay');
const facts = JSON.parse(await readFile(join(golden, 'facts.json'), 'utf8')) as ImageFacts;

let dir: string;
let site: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rolecall-render-'));
  site = join(dir, 'site');
  await cp(join(golden, 'lab-swap/site'), site, { recursive: true });
});
afterEach(async () => {
  await rm(dir, { recursive: true });
});

const run = (...args: string[]) => runCommands([check, node, render, role], site, args, dir);

/** Publishes an image of a few bytes that has what the golden files were rendered with. */
async function publishImage(without: readonly string[] = []): Promise<void> {
  const store = openImageStore(dir);
  await writeFile(join(dir, 'part'), 'a few bytes');
  const blob = await store.addBlob(join(dir, 'part'));
  const image = await store.addImage({
    format: 2,
    name: 'universal',
    architecture: 'amd64',
    suite: 'trixie',
    kernelVersion: '6.12',
    ...{ kernel: blob, initramfs: blob, root: [blob], loaders: {} },
    ...facts,
    packages: Object.fromEntries(
      Object.entries(facts.packages).filter(([name]) => !without.includes(name)),
    ),
  });
  await store.tag(image.digest, 'published');
}

describe('render', () => {
  test('without an image says how to make one', async () => {
    const { err, code } = await run('render', 'web1');
    expect(code).toBe(1);
    expect(err).toContain('rolecall build');
  });

  test('a folder of the node names what is in it, and a path far from all says how to list them', async () => {
    await publishImage();
    const folder = await run('render', 'web1', '/etc/nginx');
    expect(folder.err).toBe('/etc/nginx is a folder of the node\n/etc/nginx/nginx.conf');
    expect(folder.code).toBe(2);
    const far = await run('render', 'web1', '/opt/something/else/entirely');
    expect(far.err).toContain('has no file /opt/something/else/entirely\nrolecall render web1');
  });

  test('lists the files with mode, owner and size', async () => {
    await publishImage();
    const { out, code } = await run('render', 'web2');
    expect(code).toBe(0);
    expect(out).toMatch(/^0640 +0:105 +\d+ +\/etc\/dovecot\/users$/m);
    expect(out).toMatch(/^link +0:0 +0 +\/etc\/systemd\/system\/sshd.service -> \/usr\/lib/m);
    const json = JSON.parse((await run('--json', 'render', 'web2')).out);
    expect(json).toContainEqual({
      path: '/etc/hostname',
      kind: 'file',
      mode: '0644',
      uid: 0,
      gid: 0,
      size: 5,
    });
  });

  test('prints one file as it will be on the node, of a node or a spare', async () => {
    await publishImage();
    expect((await run('render', 'web2', '/etc/hostname')).out).toBe('web2\n');
    expect((await run('render', 'spare-525400770099', '/etc/issue')).out).toBe(
      'spare-525400770099 (spare) of lab\n',
    );
    const [row] = JSON.parse((await run('--json', 'render', 'web1', '/etc/hostname')).out);
    expect(row).toMatchObject({ path: '/etc/hostname', content: 'web1\n' });
  });

  test.each([
    ['a node that is not there', ['render', 'web3'], 'did you mean web1?'],
    [
      'a path that is not there',
      ['render', 'web1', '/etc/hostnmae'],
      'did you mean /etc/hostname?',
    ],
  ])('%s is bad usage', async (_, args, hint) => {
    await publishImage();
    const { err, code } = await run(...args);
    expect(code).toBe(2);
    expect(err).toContain(hint);
  });

  test('a node that its image keeps from its new role is not to be rebooted yet', async () => {
    await publishImage(['nginx-light']);
    expect((await run('node', 'set-role', 'web1', 'mail')).out).toContain('reboot it to make it');
    const { out, code } = await run('node', 'set-role', 'web2', 'web');
    expect(code).toBe(0);
    expect(out).toContain(
      'nodes/web2.yaml: the image universal lacks the package nginx-light of the role web\n    rolecall build --publish\n',
    );
    expect(out).toContain('until it reboots; do not reboot it before that is done');
    const mac = ['--mac', '52:54:00:77:00:98'];
    expect((await run('node', 'add', 'web3', ...mac, '--role', 'web')).out).toContain(
      'nodes/web3.yaml: the image universal lacks the package nginx-light',
    );
  });

  test('an image that lacks a package keeps only the nodes that need it', async () => {
    await publishImage(['postfix']);
    expect((await run('render', 'web1')).code).toBe(0);
    const { err, code } = await run('render', 'web2');
    expect(code).toBe(2);
    expect(err).toContain('lacks the package postfix of the role mail');
    expect((await run('check')).out).toContain(
      'nodes/web2.yaml: warning: the image universal lacks the package postfix of the role mail',
    );
  });
});

describe('role', () => {
  test('ls lists shipped and own roles, also where the site is broken', async () => {
    await mkdir(join(site, 'roles/hello'), { recursive: true });
    await writeFile(join(site, 'roles/hello/role.yaml'), 'summary: says hello\nready: "true"\n');
    const { out } = await run('role', 'ls');
    expect(out).toMatch(/^web +shipped +1 +a web server/m);
    expect(out).toMatch(/^hello +site +0 +says hello$/m);
    await writeFile(join(site, 'site.yaml'), 'broken: [\n');
    expect((await run('role', 'ls')).out).toContain('says hello');
    const rows = JSON.parse((await run('--json', 'role', 'ls')).out) as { name: string }[];
    const names = rows.map((row) => row.name);
    expect(names).toEqual(names.toSorted());
    expect(names).toEqual(expect.arrayContaining(['base', 'hello', 'lb', 'spare', 'web']));
  });

  test('pages writes a page of each role', async () => {
    await mkdir(join(site, 'roles/hello'), { recursive: true });
    await writeFile(join(site, 'roles/hello/role.yaml'), 'summary: says hello\nready: "true"\n');
    const { out } = await run('role', 'pages', join(dir, 'pages'));
    expect(out).toContain(join(dir, 'pages/hello.md'));
    const page = await readFile(join(dir, 'pages/hello.md'), 'utf8');
    expect(page).toMatch(/^# hello\n\nSays hello\.\n/);
    const rows = JSON.parse((await run('--json', 'role', 'pages', join(dir, 'pages'))).out);
    expect(rows).toContainEqual({ role: 'mail', file: join(dir, 'pages/mail.md') });
  });

  test('show says what a role takes and brings', async () => {
    const { out } = await run('role', 'show', 'mail');
    expect(out).toContain('memory = 64 (integer, at least 8): MiB of RAM');
    expect(out).toContain('  /etc/postfix/main.cf');
    expect(out).toContain('nodes\n  web2');
    const [row] = JSON.parse((await run('--json', 'role', 'show', 'mail')).out);
    expect(row).toMatchObject({ name: 'mail', nodes: ['web2'] });
    expect(out).toContain('domains.<name>.users, required (file of the site): a YAML file');
    expect(out).toContain('listens on\n  tcp/25\n');
    expect(out).toContain('when files change\n  /etc/postfix/**: reload postfix.service\n');
    expect((await run('role', 'show', 'mial')).err).toContain('did you mean mail?');
  });
});
