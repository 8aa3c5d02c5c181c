import {
  appendFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { register as check } from '../../../src/cli/check.ts';
import { register as initCommand } from '../../../src/cli/init.ts';
import { registerNodeEdit } from '../../../src/cli/node-edit.ts';
import { adminKey } from '../site/a-site.ts';
import { runCommands, runRolecall } from './run-rolecall.ts';

const lab = join(import.meta.dirname, '../../lab/sites/webs');
let dir: string;
let site: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rolecall-cli-'));
  site = join(dir, 'tokyo');
  await cp(lab, site, { recursive: true });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true });
});

const run = (...args: string[]) =>
  runCommands(
    [check, initCommand, (top, globals) => registerNodeEdit(top.command('node'), globals)],
    site,
    args,
  );

const roleFile = (name: string) => join(site, 'nodes', `${name}.yaml`);

test('the program itself: check, set-role, check; 0 for done, 2 for a bad site and bad usage', async () => {
  const program = (...args: string[]) => runRolecall(['--site', site, ...args]);
  expect(await program('node', 'set-role', 'web2', 'mail')).toMatchObject({ code: 0, err: '' });
  const good = await program('check');
  expect(good).toMatchObject({ code: 0, err: '' });
  expect(good.out).toContain('site lab: 2 nodes (1 mail, 1 web), 1 network: ok');
  expect(await program('node', 'set-role', 'web2')).toMatchObject({ code: 2, out: '' });
  await writeFile(roleFile('web1'), 'role: [web\n');
  const bad = await program('check', '--json');
  expect(bad).toMatchObject({ code: 2, err: '' });
  expect(JSON.parse(bad.out)).toMatchObject([{ file: 'nodes/web1.yaml', line: 2 }]);
});

describe('check', () => {
  test('says what the site is, and warns without failing', async () => {
    const { out, code } = await run('check');
    expect(code).toBe(0);
    expect(out).toContain('site lab: 2 nodes (2 web), 1 network: ok');
    expect(out).toContain('warning: no node has the role mail');
  });

  test('prints an empty array for a good site, warnings aside', async () => {
    const { out, err, code } = await run('check', '--json');
    expect(JSON.parse(out)).toEqual([]);
    expect(err).toContain('warning: ');
    expect(code).toBe(0);
  });

  test('says every problem of every file, roles and sites together, and ends with 2', async () => {
    await writeFile(roleFile('web1'), 'mac: 52:54:00:77:00:11\naddress: 10.77.0.12\nrole: wbe\n');
    const text = await run('check');
    expect(text.code).toBe(2);
    expect(text.out).toContain('nodes/web2.yaml:4: 10.77.0.12, the address of node web2, is also');
    const json = await run('check', '--json');
    expect(json.code).toBe(2);
    const problems = JSON.parse(json.out) as Record<string, unknown>[];
    expect(problems.length).toBeGreaterThan(0);
    for (const problem of problems) {
      expect(Object.keys(problem).sort()).toEqual(['file', 'hint', 'line', 'message', 'path']);
    }
  });

  test('a role that does not exist', async () => {
    await writeFile(roleFile('web1'), 'mac: 52:54:00:77:00:11\naddress: 10.77.0.11\nrole: wbe\n');
    const { out, code } = await run('check');
    expect(out).toContain('nodes/web1.yaml:3: there is no role wbe\n    did you mean web?');
    expect(code).toBe(2);
  });

  test('a state folder that cannot be read is a warning: the site itself is right', async () => {
    const state = join(dir, 'state');
    await writeFile(state, '');
    const { out, err, code } = await runRolecall(['--site', site, '--state', state, 'check']);
    expect(err).toBe('');
    expect(out).toContain(`warning: not compared with the image: ${state}/`);
    expect(out).toContain('1 network: ok');
    expect(code).toBe(0);
  });

  test('an empty entry of a list is named by its place', async () => {
    const text = await readFile(roleFile('web1'), 'utf8');
    await writeFile(roleFile('web1'), `${text}tags: [front, ~]\n`);
    const { out } = await run('check');
    expect(out).toContain('entry 2 of tags is empty');
  });

  test('a folder without a site', async () => {
    site = dir;
    const { out, code } = await run('check');
    expect(out).toContain('there is no site.yaml in the site folder');
    expect(code).toBe(2);
  });
});

describe('node set-role', () => {
  test('writes to what a role file links to, and leaves the link', async () => {
    const kept = join(site, 'web1.yaml');
    await rename(roleFile('web1'), kept);
    await symlink(kept, roleFile('web1'));
    expect(await run('node', 'set-role', 'web1', 'mail')).toMatchObject({ code: 0 });
    expect(await readlink(roleFile('web1'))).toBe(kept);
    expect(await readFile(kept, 'utf8')).toContain('role: mail');
  });

  test('changes the one line, and says that the node must reboot', async () => {
    const before = await readFile(roleFile('web1'), 'utf8');
    const { out, code } = await run('node', 'set-role', 'web1', 'mail');
    expect(code).toBe(0);
    expect(out).toContain('nodes/web1.yaml: role web → mail');
    expect(out).toContain('reboot');
    const after = await readFile(roleFile('web1'), 'utf8');
    expect(after).toBe(before.replace('role: web', 'role: mail'));
    expect(await readdir(join(site, 'nodes'))).toEqual(['web1.yaml', 'web2.yaml']);
  });

  test.each([
    ['a role that does not exist', ['web1', 'mial'], 'did you mean mail?'],
    ['a role of no letters', ['web1', ''], 'cannot be the name of a role'],
    ['a role that is a YAML mapping', ['web1', '{a: b}'], 'cannot be the name of a role'],
    ['a role that is a YAML number', ['web1', '0x10'], 'there is no role 0x10'],
    ['a role with a comment in it', ['web1', 'web # mail'], 'cannot be the name of a role'],
    ['a node that does not exist', ['web9', 'mail'], 'did you mean web1?'],
    [
      'a spare',
      ['spare-525400aabbcc', 'mail'],
      'has no role file yet\nrolecall node add --mac 52:54:00:aa:bb:cc --role mail',
    ],
  ])('%s: writes nothing and ends with 2', async (_, args, hint) => {
    const before = await readFile(roleFile('web1'), 'utf8');
    const { err, code } = await run('node', 'set-role', ...args);
    expect(err).toContain(hint);
    expect(code).toBe(2);
    expect(await readFile(roleFile('web1'), 'utf8')).toBe(before);
  });

  test.each([
    ['a role that does not exist', 'role: wbe', ''],
    ['a role that some service needs', 'role: [mail, wbe]', 'services'],
  ])('cures a site that is bad by %s', async (_, role, more) => {
    if (more !== '') {
      const services = `services:\n  www: {vip: {boot: 10.77.0.80}, port: 80, forward: dsr, balancers: {role: lb}, servers: {role: web}}\n`;
      await appendFile(join(site, 'site.yaml'), services);
      const lb = 'mac: 52:54:00:77:00:21\naddress: 10.77.0.21\nrole: lb\n';
      await writeFile(roleFile('lb1'), lb);
      await writeFile(
        roleFile('web2'),
        (await readFile(roleFile('web2'), 'utf8')).replace('role: web', 'role: spare'),
      );
    }
    const text = await readFile(roleFile('web1'), 'utf8');
    await writeFile(roleFile('web1'), text.replace('role: web', role));
    expect((await run('check')).code).toBe(2);
    const { out, err, code } = await run('node', 'set-role', 'web1', 'web');
    expect([err, code]).toEqual(['', 0]);
    expect(out).toContain(`nodes/web1.yaml: role ${role.replace(/^role: |[[\]]/g, '')} → web`);
    expect((await run('check')).code).toBe(0);
  });

  describe('of a role that one node at a time may have, and one must', () => {
    beforeEach(async () => {
      const volume =
        'logs: {nodes: [nfs1, nfs2], device: /dev/vdb, replication: boot, vip: {boot: 10.77.0.110}, clients: {role: logs}, at: /srv/logs}';
      await appendFile(join(site, 'site.yaml'), `volumes:\n  ${volume}\n`);
      for (const [name, last] of Object.entries({ nfs1: 31, nfs2: 32 })) {
        const text = `mac: 52:54:00:77:00:${last}\naddress: 10.77.0.${last}\nrole: storage\n`;
        await writeFile(roleFile(name), text);
      }
      const text = await readFile(roleFile('web2'), 'utf8');
      await writeFile(roleFile('web2'), text.replace('role: web', 'role: [logs, web]'));
    });

    test('gives it to another node by the command that it names', async () => {
      const refused = await run('node', 'set-role', 'web1', 'logs');
      expect(refused.code).toBe(2);
      const line = /where web2 is: rolecall (.*)$/m.exec(refused.err)?.[1];
      const { out, err, code } = await run(...(line ?? '').split(' '));
      expect([err, code]).toEqual(['', 0]);
      expect(out).toContain('wrote nodes/web2.yaml: role logs, web → web\n');
      expect(out).toContain('wrote nodes/web1.yaml: role web → logs\n');
      expect((await run('check')).code).toBe(0);
      // And back, where the one that has it keeps nothing else.
      await run('node', 'set-role', 'web2', 'logs', 'web', '--instead-of', 'web1');
      expect(await readFile(roleFile('web1'), 'utf8')).toMatch(/^role: spare/m);
    });

    test.each([
      [['web1', 'logs', '--instead-of', 'web9'], 'did you mean web1?'],
      [['web1', 'logs', '--instead-of', 'nfs1'], 'has not the role logs: it is storage'],
      [['web1', 'logs', '--instead-of', 'web1'], 'web1 cannot be instead of itself'],
    ])('%j is refused, and nothing is written', async (args, message) => {
      const files = ['web1', 'web2', 'nfs1'].map(roleFile);
      const before = await Promise.all(files.map((file) => readFile(file, 'utf8')));
      const { err, code } = await run('node', 'set-role', ...args);
      expect([err, code]).toEqual([expect.stringContaining(message), 2]);
      expect(await Promise.all(files.map((file) => readFile(file, 'utf8')))).toEqual(before);
    });
  });

  test('says what is wrong with a site that it does not cure', async () => {
    await appendFile(join(site, 'site.yaml'), 'unkown: spare\n');
    const { err, code } = await run('node', 'set-role', 'web1', 'mail');
    expect([err, code]).toEqual([expect.stringContaining('unknown key unkown'), 2]);
    expect((await run('node', 'set-role', 'web9', 'mail')).err).toContain('unknown key unkown');
    expect((await run('node', 'set-role', '../site', 'mail')).err).toContain('unknown key unkown');
  });

  test('--dry-run shows the file and leaves it', async () => {
    const before = await readFile(roleFile('web1'), 'utf8');
    const { out, code } = await run('node', 'set-role', 'web1', 'mail', '--dry-run');
    expect(out).toContain('role: mail');
    expect(code).toBe(0);
    expect(await readFile(roleFile('web1'), 'utf8')).toBe(before);
  });
});

describe('node add', () => {
  const add = (...args: string[]) => run('node', 'add', ...args);

  test('proposes the next name and address, and what it writes is a good site', async () => {
    const { out, code } = await add('--mac', '52-54-00-77-00-21', '--role', 'web');
    expect(code).toBe(0);
    expect(out).toContain('nodes/web3.yaml');
    expect(await readFile(roleFile('web3'), 'utf8')).toContain(
      'mac: 52:54:00:77:00:21\naddress: 10.77.0.13\nrole: web\n',
    );
    expect((await run('check')).code).toBe(0);
  });

  test('cures a site whose services have no node yet', async () => {
    const service =
      'www: {vip: {boot: 10.77.0.80}, port: 80, forward: dsr, balancers: {role: lb}, servers: {role: web}}';
    await appendFile(join(site, 'site.yaml'), `services:\n  ${service}\n`);
    expect((await run('check')).out).toContain('no node has role lb');
    const machine = ['--mac', '52-54-00-77-00-21', '--role', 'lb'];
    const { err, code } = await add(...machine);
    expect(code).toBe(2);
    expect(err).toContain('no node has role lb');
    expect(err).toContain('its name and --address');
    expect(await add('web1', ...machine, '--address', '10.77.0.21')).toMatchObject({ code: 2 });
    expect(await add('lb1', ...machine, '--address', '10.77.0.21')).toMatchObject({ code: 0 });
    expect((await run('check')).code).toBe(0);
  });

  test('a machine may be known by its UUID, serial number or switch port, and then by no MAC', async () => {
    const { out, code } = await add('--serial', 'CZ1', '--port', 'ge-0/0/7', '--role', 'web');
    expect([out, code]).toEqual([expect.stringContaining('nodes/web3.yaml'), 0]);
    expect(await readFile(roleFile('web3'), 'utf8')).toContain(
      "id: {serial: 'CZ1', port: 'ge-0/0/7'}\naddress: 10.77.0.13\nrole: web\n",
    );
    expect((await run('check')).code).toBe(0);
  });

  test('says who of its role waits for whom', async () => {
    await cp(join(lab, '../../../../examples/lab'), site, { recursive: true });
    const { out } = await add('mail2', '--mac', '52:54:00:77:00:99', '--role', 'mail');
    expect(out).toContain('mail1, mail2 have the role mail: one at a time uses /srv/mail');
  });

  test('a machine that nothing names is refused', async () => {
    const { err, code } = await add('--role', 'web');
    expect(err).toContain('--mac, --uuid, --serial or --port');
    expect(code).toBe(2);
  });

  test('takes a name and an address', async () => {
    const args = [
      'front',
      '--mac',
      '52:54:00:77:00:21',
      '--role',
      'web',
      '--address',
      '10.77.0.80',
    ];
    expect((await add(...args)).code).toBe(0);
    expect(await readFile(roleFile('front'), 'utf8')).toContain('address: 10.77.0.80\n');
  });

  test.each([
    ['a MAC that a node has', ['--mac', '52:54:00:77:00:11', '--role', 'web'], "also node web1's"],
    [
      'a name that is taken',
      ['web1', '--mac', '52:54:00:77:00:21', '--role', 'web'],
      'there is a node web1 already',
    ],
    [
      'a name that is none',
      ['../../x', '--mac', '52:54:00:77:00:21', '--role', 'web'],
      'cannot be the name of a node',
    ],
    ['no MAC address', ['--mac', '52:54', '--role', 'web'], 'is no MAC address'],
    [
      'an address in the pool',
      ['--mac', '52:54:00:77:00:21', '--role', 'web', '--address', '10.77.0.200'],
      'is in the pool',
    ],
    [
      'a network that is not there',
      ['--mac', '52:54:00:77:00:21', '--role', 'web', '--network', 'bot'],
      'did you mean boot?',
    ],
    ['no role', ['--mac', '52:54:00:77:00:21'], '--role'],
  ])('%s: writes nothing and ends with 2', async (_, args, message) => {
    const { err, code } = await add(...args);
    expect(err).toContain(message);
    expect(code).toBe(2);
    expect(await readdir(join(site, 'nodes'))).toEqual(['web1.yaml', 'web2.yaml']);
    expect((await readdir(dir)).sort()).toEqual(['tokyo']);
  });

  test('--dry-run writes nothing', async () => {
    const { out, code } = await add('--mac', '52:54:00:77:00:21', '--role', 'web', '--dry-run');
    expect(out).toContain('address: 10.77.0.13');
    expect(code).toBe(0);
    expect(await readdir(join(site, 'nodes'))).toEqual(['web1.yaml', 'web2.yaml']);
  });
});

describe('init', () => {
  const here = Object.entries(networkInterfaces()).find(([, addresses]) =>
    addresses?.some((a) => a.family === 'IPv4' && !a.internal),
  )?.[0];
  const init = async (...args: string[]) => {
    await mkdir(join(dir, 'home/.ssh'), { recursive: true });
    await writeFile(join(dir, 'home/.ssh/id_ed25519.pub'), `${adminKey}\n`);
    vi.stubEnv('HOME', join(dir, 'home'));
    return await run('init', ...args);
  };

  test('makes a site that check accepts, and never writes over one', async () => {
    if (here === undefined) throw new Error('this machine has no interface with an IPv4 address');
    const fresh = join(dir, 'Osaka 2');
    const { out, err, code } = await init(fresh, '--interface', here);
    expect(err).toBe('');
    expect(code).toBe(0);
    expect(out).toContain('site osaka-2');
    expect(out).toContain(`rolecall --site '${fresh}' check`);
    const text = await readFile(join(fresh, 'site.yaml'), 'utf8');
    expect(text).toContain(adminKey);
    site = fresh;
    expect((await run('check')).code).toBe(0);
    const again = await init(fresh, '--interface', here);
    expect(again.err).toContain('holds a site already');
    expect(again.code).toBe(2);
    expect(await readFile(join(fresh, 'site.yaml'), 'utf8')).toBe(text);
  });

  test.each([
    [[], 'which interface'],
    [['--interface', 'nonesuch0'], 'nonesuch0 is no interface'],
  ])('with %j lists the interfaces and writes nothing', async (args, message) => {
    const { err, code } = await init(join(dir, 'fresh'), ...args);
    expect(err).toContain(message);
    if (here !== undefined) expect(err).toContain(here);
    expect(code).toBe(2);
    expect((await readdir(dir)).sort()).toEqual(['home', 'tokyo']);
  });

  test('without a public key says how to make one', async () => {
    await mkdir(join(dir, 'nobody'));
    vi.stubEnv('HOME', join(dir, 'nobody'));
    const { err, code } = await run('init', join(dir, 'fresh'), '--interface', here ?? '');
    expect(err).toContain('ssh-keygen -t ed25519');
    expect(code).toBe(2);
  });
});
