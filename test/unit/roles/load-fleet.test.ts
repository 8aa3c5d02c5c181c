import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkAgainstImage, warnings } from '../../../src/roles/check-fleet.ts';
import type { Fleet } from '../../../src/roles/fleet.ts';
import type { ImageFacts } from '../../../src/roles/image-facts.ts';
import { loadFleet } from '../../../src/roles/load-fleet.ts';
import { renderOverlay } from '../../../src/roles/render-overlay.ts';

const golden = join(import.meta.dirname, '../../golden/overlay');
const facts = JSON.parse(await readFile(join(golden, 'facts.json'), 'utf8')) as ImageFacts;

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rolecall-fleet-'));
  await cp(join(golden, 'lab-swap/site'), dir, { recursive: true });
});
afterEach(async () => {
  await rm(dir, { recursive: true });
});

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(dir, path)), { recursive: true });
  await writeFile(join(dir, path), text);
}

async function edit(path: string, from: string, to: string): Promise<void> {
  const text = await readFile(join(dir, path), 'utf8');
  expect(text).toContain(from);
  await write(path, text.replace(from, to));
}

/** `file:line message | hint` of every problem. */
async function problems(): Promise<readonly string[]> {
  const result = await loadFleet(dir);
  if (result.ok) return [];
  return result.problems.map((p) => `${p.file}:${p.line} ${p.message} | ${p.hint}`);
}

async function good(): Promise<Fleet> {
  const result = await loadFleet(dir);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.value;
}

describe('what is wrong between site and roles', () => {
  test('a role that does not exist', async () => {
    await edit('nodes/web1.yaml', 'role: web', 'role: wbe');
    expect(await problems()).toEqual([
      'nodes/web1.yaml:3 there is no role wbe | did you mean web?',
    ]);
  });

  test('parameters, in the file and line that wrote them, once', async () => {
    await edit('site.yaml', 'roles:\n', 'roles:\n  web:\n    acessLog: true\n  bsae: {}\n');
    await write(
      'nodes/web1.yaml',
      'mac: 52:54:00:77:00:11\naddress: 10.77.0.11\nrole: web\nparams:\n  web:\n    accessLog: perhaps\n  base:\n    journal: 1\n',
    );
    expect(await problems()).toEqual([
      'site.yaml:16 there is no role bsae | did you mean base?',
      'nodes/web1.yaml:8 journal: 1 must be >= 4 | ',
      'site.yaml:15 unknown parameter acessLog | did you mean accessLog?',
      'nodes/web1.yaml:6 accessLog: "perhaps" must be boolean | ',
    ]);
  });

  test.each([
    ['is not there', 'users/nobody.yaml', 'there is no file users/nobody.yaml in the site'],
    ['leads out of the site', '../users.yaml', 'no file inside the site folder'],
    ['is absolute', '/etc/passwd', 'no file inside the site folder'],
    ['is a link out of the site', 'users/link.yaml', 'there is no file users/link.yaml'],
  ])('a site file that %s, also where no node has the role yet', async (_, path, message) => {
    await symlink('/etc/hostname', join(dir, 'users/link.yaml'));
    await edit('site.yaml', 'users/lab.yaml', path);
    await edit('nodes/web2.yaml', 'role: mail', 'role: web');
    const [first, ...others] = await problems();
    expect(others).toEqual([]);
    expect(first).toContain('site.yaml:17');
    expect(first).toContain(message);
  });

  test('two roles that write one path, unless both say append', async () => {
    const role = 'summary: x\nready: "true"\nfiles: {/etc/motd: {append: true}}\n';
    await write('roles/more/role.yaml', role);
    await write('roles/more/files/etc/motd', 'more\n');
    await edit('nodes/web1.yaml', 'role: web', 'role: [web, more]');
    expect(await problems()).toEqual([
      expect.stringContaining('nodes/web1.yaml:3 /etc/motd: the roles base and more both write it'),
    ]);
    await write('roles/less/role.yaml', role);
    await write('roles/less/files/etc/motd.ejs', 'less\n');
    await write('roles/less/files/etc/more.motd', '');
    await write('roles/more/role.yaml', role.replaceAll('/etc/motd', '/etc/x'));
    await write('roles/less/role.yaml', role.replaceAll('/etc/motd', '/etc/x'));
    await rm(join(dir, 'roles/more/files/etc/motd'));
    await rm(join(dir, 'roles/less/files/etc/motd.ejs'));
    await write('roles/more/files/etc/x', 'more\n');
    await write('roles/less/files/etc/x.ejs', 'less on <%= node.name %>\n');
    await edit('nodes/web1.yaml', '[web, more]', '[web, more, less]');
    const fleet = await good();
    const node = fleet.site.nodes.get('web1');
    const rendered = node && renderOverlay({ fleet, node, facts });
    if (!rendered?.ok) throw new Error(JSON.stringify(rendered));
    expect(rendered.files.find((file) => file.path === '/etc/x')).toMatchObject({
      content: 'more\nless on web1\n',
    });
  });

  test('a path that is a file of one role and a folder of another', async () => {
    await write('roles/more/role.yaml', 'summary: x\nready: "true"\n');
    await write('roles/more/files/etc/hosts/more', '');
    await edit('nodes/web1.yaml', 'role: web', 'role: [web, more]');
    expect(await problems()).toEqual([expect.stringContaining('/etc/hosts is a file of the same')]);
  });

  describe('two roles that listen on one port', () => {
    const listening = (listens: string) => `summary: x\nready: "true"\nlistens: ${listens}\n`;

    test('are refused on one node', async () => {
      await write('roles/cache/role.yaml', listening('[udp/53, tcp/80]'));
      await edit('nodes/web1.yaml', 'role: web', 'role: [web, cache]');
      expect(await problems()).toEqual([
        'nodes/web1.yaml:3 the roles web and cache both listen on tcp/80 | give web1 one of them, or another port to one where it has a parameter for it',
      ]);
    });

    test('fit where the protocol differs, or a parameter gives another port', async () => {
      const parameters = 'parameters: {properties: {port: {type: integer, default: 80}}}\n';
      const port = '["tcp/<%= params.cache.port %>", udp/80]';
      await write('roles/cache/role.yaml', `${listening(port)}${parameters}`);
      await edit('nodes/web1.yaml', 'role: web', 'role: [web, cache]');
      expect(await problems()).toEqual([
        expect.stringContaining('the roles web and cache both listen on tcp/80'),
      ]);
      await edit('site.yaml', 'roles:\n', 'roles:\n  cache: {port: 8080}\n');
      expect(await problems()).toEqual([]);
    });

    test('a port that is none, as written and as rendered', async () => {
      await write('roles/cache/role.yaml', listening('[tcp/65536, 80]'));
      expect(await problems()).toEqual([
        'roles/cache/role.yaml:3 tcp/65536 is no protocol and port | such as tcp/80',
        'roles/cache/role.yaml:3 80 is no protocol and port | such as tcp/80',
      ]);
      await write('roles/cache/role.yaml', listening('["tcp/80 <%= node.name %>"]'));
      await edit('nodes/web1.yaml', 'role: web', 'role: cache');
      expect(await problems()).toEqual([
        'roles/cache/role.yaml:3 web1 is no protocol and port | such as tcp/80',
      ]);
    });
  });

  test('two roles whose data or secrets have one place, and files that data would hide', async () => {
    const role = (extra: string) => `summary: x\nready: "true"\n${extra}\n`;
    const secret = 'secrets: {/etc/x.pem: {certificate: x, hosts: lab.example}}';
    await write('roles/one/role.yaml', role(`data: {/srv/x: {memory: 8}}\n${secret}`));
    await write('roles/two/role.yaml', role(`data: {/srv/x: {memory: 9}}\n${secret}`));
    await write('roles/two/files/srv/x/page', '');
    await edit('nodes/web1.yaml', 'role: web', 'role: [one, two]');
    expect(await problems()).toEqual([
      expect.stringContaining('/srv/x/page: two writes it, and the data of one is mounted over'),
      expect.stringContaining('/srv/x/page: two writes it, and the data of two is mounted over'),
      'nodes/web1.yaml:3 the roles one and two both have their data in /srv/x | give web1 one of them',
      expect.stringContaining('the roles one and two both have a secret in /etc/x.pem'),
    ]);
  });

  test('a role that removes what another writes, and sysctls that differ', async () => {
    await write(
      'roles/more/role.yaml',
      'summary: x\nready: "true"\nremove: [/etc/motd]\nsysctls: {kernel.panic: 5}\n',
    );
    await edit('nodes/web1.yaml', 'role: web', 'role: [web, more]');
    expect(await problems()).toEqual([
      expect.stringContaining('/etc/motd: base writes it, and more removes it'),
      expect.stringContaining('base and more want kernel.panic = 30 and 5'),
    ]);
  });

  test('a template that does not render, with its file and line', async () => {
    await write('roles/more/role.yaml', 'summary: x\nready: "true"\n');
    await write('roles/more/files/etc/x.ejs', 'a\nb <%= node.nmae %>\n');
    await edit('nodes/web1.yaml', 'role: web', 'role: [web, more]');
    expect(await problems()).toEqual([
      expect.stringContaining('roles/more/files/etc/x.ejs:2 the value here is undefined'),
    ]);
  });

  test.each([
    ['a password that is no hash', 'ops: geheim\n', 'is no password hash'],
    ['a name that cannot be a mailbox', "'../x': '{SHA256}x'\n", 'cannot be the name of a mailbox'],
    ['an alias for nobody', "kim: '{SHA256}x'\n", 'whom users/lab.yaml lacks'],
  ])('mail users: %s', async (_, text, message) => {
    await write('users/lab.yaml', text);
    expect((await problems()).join('\n')).toContain(message);
  });

  test('messages that are too large for mailboxes in RAM: postfix would take none at all', async () => {
    await edit('site.yaml', '  mail:\n', '  mail:\n    messageSize: 35\n');
    expect(await problems()).toEqual([
      expect.stringContaining(
        'params.mail: memory: 64 is too little for messageSize: 35, as postfix takes mail only while twice that is free',
      ),
    ]);
    await edit('site.yaml', 'messageSize: 35\n', 'messageSize: 35\n    memory: 71\n');
    expect(await problems()).toEqual([]);
  });

  test.each(['john doe', '#tag', 'info@other.example'])(
    'an alias that postfix would never find: %s',
    async (alias) => {
      await edit('site.yaml', 'aliases: {', `aliases: {'${alias}': ops, `);
      expect(await problems()).toEqual([
        expect.stringContaining(`the aliases of lab.example: ${alias} is no name before an @`),
      ]);
    },
  );

  test('mail for the postmaster goes to whom an alias names, else to the first user', async () => {
    const aliases = async (text: string) => {
      await edit('site.yaml', '{postmaster: ops, ', text);
      const fleet = await good();
      const node = fleet.site.nodes.get('web2');
      const rendered = node && renderOverlay({ fleet, node, facts });
      if (!rendered?.ok) throw new Error(JSON.stringify(rendered));
      const file = rendered.files.find(({ path }) => path === '/etc/postfix/aliases');
      const lines = file?.kind === 'file' ? String(file.content).split('\n') : [];
      return lines.filter((line) => /^(postmaster|abuse)@lab\.example/i.test(line));
    };
    expect(await aliases('{Postmaster: alice, ')).toEqual([
      'Postmaster@lab.example alice@lab.example',
    ]);
    await edit('site.yaml', '{Postmaster: alice, ', '{postmaster: ops, ');
    expect(await aliases('{abuse: postmaster, ')).toEqual([
      'postmaster@lab.example ops@lab.example',
      'abuse@lab.example postmaster@lab.example',
    ]);
  });

  test.each([
    ['proxy: {/app/: {to: ["10.77.0.50:99999"]}}', '10.77.0.50:99999 has no port from 1 to 65535'],
    ['proxy: {/app/: {to: ["10.77.0.50:0"]}}', '10.77.0.50:0 has no port from 1 to 65535'],
    ['proxy: {/app/: {to: ["999.1.1.1:80"]}}', '999.1.1.1 is neither an address nor a node'],
    ['trustedProxies: [10.0.0.0/99]', '10.0.0.0/99 is no network'],
    ['trustedProxies: [10.0.0.256]', '10.0.0.256 is no network'],
  ])('what nginx would not start with: %s', async (param, message) => {
    await edit('site.yaml', 'roles:', `roles:\n  web: {${param}}`);
    expect(await problems()).toEqual([expect.stringContaining(`params.web.`)]);
    expect((await problems()).join()).toContain(message);
  });

  test('applications under the path that a volume holds', async () => {
    const pair = ['nfs1', 'nfs2'];
    for (const [i, name] of pair.entries()) {
      await write(
        `nodes/${name}.yaml`,
        `mac: 52:54:00:77:00:0${i + 1}\naddress: 10.77.0.${i + 2}\nrole: storage\n`,
      );
    }
    const volume =
      'files: {nodes: [nfs1, nfs2], device: /dev/vda, replication: boot, vip: {boot: 10.77.0.111}, clients: {role: web}, at: /srv/www/files}';
    const proxy = (path: string) => `proxy: {${path}: {to: ["10.77.0.50:80"]}}`;
    await edit('site.yaml', 'roles:', `volumes: {${volume}}\nroles:\n  web: {${proxy('/files/')}}`);
    expect(await problems()).toEqual([
      expect.stringContaining('params.web.proxy: /files/ is what a volume holds on this node'),
    ]);
    await edit('site.yaml', proxy('/files/'), proxy('/files/app/'));
    expect(await problems()).toEqual([]);
  });

  describe('data that one node at a time may use', () => {
    const volume = async (clients: string) => {
      for (const [name, last] of [
        ['nfs1', 8],
        ['nfs2', 9],
      ]) {
        await write(
          `nodes/${name}.yaml`,
          `mac: 52:54:00:77:00:0${last}\naddress: 10.77.0.${last}\nrole: storage\n`,
        );
      }
      await edit(
        'site.yaml',
        'roles:',
        `volumes:\n  post: {nodes: [nfs1, nfs2], device: /dev/vda, replication: boot, vip: {boot: 10.77.0.111}, clients: ${clients}, at: /srv/mail}\nroles:`,
      );
    };

    test('two nodes on one volume, of a role that does not wait for its turn', async () => {
      await volume('{role: post}');
      const data = 'data: {/srv/mail: {exclusive: true, memory: 8}}';
      await write('roles/post/role.yaml', `summary: x\nready: "true"\n${data}\n`);
      await edit('nodes/web2.yaml', 'role: mail', 'role: post');
      await good();
      await edit('nodes/web1.yaml', 'role: web', 'role: post');
      expect(await problems()).toEqual([
        'nodes/web2.yaml:3 web2 and web1 both have the role post, whose /srv/mail is on the volume post: one node at a time may use it | where web1 is dead: rolecall node set-role web2 post --instead-of web1; where web2 is: rolecall node set-role web1 post --instead-of web2',
      ]);
    });

    test('two nodes of a role that waits for its turn: the site is good, both are told of', async () => {
      await volume('{role: mail}');
      expect(warnings(await good()).filter(({ message }) => /at a time/.test(message))).toEqual([]);
      await edit('nodes/web1.yaml', 'role: web', 'role: mail');
      const found = warnings(await good()).filter(({ message }) => /at a time/.test(message));
      expect(found.map(({ file }) => file)).toEqual(['nodes/web1.yaml', 'nodes/web2.yaml']);
      expect(found[0]).toMatchObject({
        message:
          'web1, web2 have the role mail: one at a time uses /srv/mail on the volume post, and another takes over when it is lost',
        hint: 'nothing to do where that is meant; else: rolecall node set-role web1 spare',
      });
    });

    test('a role that waits for its turn asks for the mount itself, others are mounted at boot', async () => {
      await volume('{role: mail}');
      const fstab = async (role: string) => {
        const fleet = await good();
        const node = [...fleet.site.nodes.values()].find(({ roles }) => roles.includes(role));
        if (!node) throw new Error(`no node of role ${role}`);
        const rendered = renderOverlay({ fleet, node, facts });
        if (!rendered.ok) throw new Error(JSON.stringify(rendered.problems));
        const file = rendered.files.find(({ path }) => path === '/etc/fstab');
        return file?.kind === 'file' ? String(file.content) : '';
      };
      expect(await fstab('mail')).toMatch(
        /^10\.77\.0\.111:\/post \/srv\/mail nfs \S+,retry=0,_netdev,nofail,noauto,x-systemd\.mount-timeout=60 0 0$/m,
      );
      await edit(
        'site.yaml',
        'clients: {role: mail}, at: /srv/mail',
        'clients: {role: web}, at: /srv/www',
      );
      expect(await fstab('web')).toMatch(
        /^10\.77\.0\.111:\/post \/srv\/www nfs \S+,retry=100000,_netdev,nofail,x-systemd\.mount-timeout=infinity 0 0$/m,
      );
    });

    test('two volumes, one in the other, that both hold it', async () => {
      await volume('{role: mail}');
      const more =
        'more: {nodes: [nfs1, nfs2], device: /dev/vdb, replication: boot, vip: {boot: 10.77.0.112}, clients: {role: mail}, at: /srv}';
      await edit('site.yaml', 'volumes:\n', `volumes:\n  ${more}\n`);
      expect(await problems()).toEqual([
        expect.stringMatching(
          /^site\.yaml:\d+ \/srv\/mail of web2 would be on the volume post at \/srv\/mail, and on more at \/srv \| another at: for one of them, or other clients$/,
        ),
      ]);
      await edit('site.yaml', 'at: /srv}', 'at: /srv/more}');
      expect(await problems()).toEqual([]);
    });

    test('a node that its volume does not let in', async () => {
      await volume('[web1]');
      expect(await problems()).toEqual([
        expect.stringMatching(
          /^site\.yaml:\d+ web2 has the role mail, whose \/srv\/mail is on the volume post, but is none of its clients \| clients: \{role: mail\}/,
        ),
      ]);
    });
  });

  describe('a disk of the node for data', () => {
    const logs = (disk: string) =>
      `mac: 52:54:00:77:00:11\naddress: 10.77.0.11\nrole: logs\nparams: {logs: {disk: ${disk}}}\n`;
    const inRam = /lives in RAM: a reboot loses all logs data/;

    test('is mounted where RAM would be, and nobody warns of RAM', async () => {
      await write('nodes/web1.yaml', logs('""'));
      const [warning] = warnings(await good()).filter(({ message }) => inRam.test(message));
      expect(warning?.hint).toMatch(/, or a disk of the node: params: \{logs: \{disk: /);
      await write('nodes/web1.yaml', logs('/dev/disk/by-id/ata-1'));
      const fleet = await good();
      expect(warnings(fleet).filter(({ message }) => inRam.test(message))).toEqual([]);
      const node = fleet.site.nodes.get('web1');
      const rendered = node && renderOverlay({ fleet, node, facts });
      if (!rendered?.ok) throw new Error(JSON.stringify(rendered));
      const fstab = rendered.files.find(({ path }) => path === '/etc/fstab');
      expect(fstab).toMatchObject({
        content:
          '/dev/disk/by-id/ata-1 /srv/logs ext4 noatime,nosuid,nodev,noexec,nofail,x-systemd.device-timeout=10 0 2\n',
      });
    });

    test('not together with a volume, nor the disk of one, nor of two folders', async () => {
      for (const [name, last] of Object.entries({ nfs1: 8, nfs2: 9 })) {
        await write(
          `nodes/${name}.yaml`,
          `mac: 52:54:00:77:00:0${last}\naddress: 10.77.0.${last}\nrole: storage\n`,
        );
      }
      const volumes = `volumes:
  post: {nodes: [nfs1, nfs2], device: /dev/vdb, replication: boot, vip: {boot: 10.77.0.111}, clients: [web1], at: /srv/logs}
  held: {nodes: [web1, nfs2], device: /dev/vda, replication: boot, vip: {boot: 10.77.0.112}, clients: [nfs1], at: /srv/held}
`;
      await edit('site.yaml', 'roles:', `${volumes}roles:`);
      const more = 'data: {/srv/more: {memory: 8, disk: /dev/vda}}';
      await write('roles/more/role.yaml', `summary: x\nready: "true"\n${more}\n`);
      await write(
        'nodes/web1.yaml',
        logs('/dev/vda').replace('role: logs', 'role: [storage, logs, more]'),
      );
      expect(await problems()).toEqual([
        'nodes/web1.yaml:3 /srv/logs of web1 is on the volume post, and the role logs names the disk /dev/vda for it | take one of the two out',
        'nodes/web1.yaml:3 /srv/logs of web1 shall be on /dev/vda, which holds the volume held: it would be lost | name another disk',
        'nodes/web1.yaml:3 /srv/more of web1 shall be on /dev/vda, which holds the volume held: it would be lost | name another disk',
        'nodes/web1.yaml:3 /srv/logs and /srv/more of web1 shall both be on /dev/vda | a disk for each, or a partition',
      ]);
    });
  });

  test('a certificate for what is no host name', async () => {
    const secret = 'secrets: {/etc/x.pem: {certificate: x, hosts: "<%= node.name %>.lab a_b"}}';
    await write('roles/more/role.yaml', `summary: x\nready: "true"\n${secret}\n`);
    await edit('nodes/web1.yaml', 'role: web', 'role: [web, more]');
    expect(await problems()).toEqual([
      'roles/more/role.yaml:3 "a_b" is no host name | such as mail.lab.example',
    ]);
  });

  test("problems of the site and of the roles' own files come together", async () => {
    await write('roles/more/role.yaml', 'summary: x\n');
    await edit('nodes/web1.yaml', 'address: 10.77.0.11', 'address: 10.99.0.11');
    expect(await problems()).toEqual([
      expect.stringContaining('nodes/web1.yaml:2'),
      expect.stringContaining('roles/more/role.yaml:1 ready is missing'),
    ]);
  });
});

test("a site's role of the same name replaces the shipped folder whole", async () => {
  await write('roles/web/role.yaml', 'summary: mine\nready: "true"\n');
  await write('roles/web/files/etc/mine', '');
  const web = (await good()).roles.get('web');
  expect(web).toMatchObject({ own: true, summary: 'mine', packages: [] });
  expect(web?.tree.map((file) => file.path)).toEqual(['/etc/mine']);
});

test('a name of /etc/hosts is one machine, also where a node has the name of a link of another', async () => {
  await edit('site.yaml', 'networks:\n', 'networks:\n  side: {subnet: 10.78.0.0/24}\n');
  await write(
    'nodes/web1.yaml',
    'role: web\nlinks:\n  boot: {nic: 52:54:00:77:00:11, address: 10.77.0.11}\n  side: {nic: 52:54:00:78:00:11, address: 10.78.0.11}\n',
  );
  const hosts = async () => {
    const fleet = await good();
    const node = fleet.site.nodes.get('web2');
    const rendered = node && renderOverlay({ fleet, node, facts });
    if (!rendered?.ok) throw new Error(JSON.stringify(rendered));
    const file = rendered.files.find(({ path }) => path === '/etc/hosts');
    return file?.kind === 'file' ? String(file.content).split('\n') : [];
  };
  expect(await hosts()).toContain('10.78.0.11 web1-side.lab.example web1-side');
  await write('nodes/web1-side.yaml', 'mac: 52:54:00:77:00:19\naddress: 10.77.0.19\nrole: web\n');
  const lines = (await hosts()).filter((line) => line.includes('web1'));
  expect(lines.sort()).toEqual([
    '10.77.0.11 web1.lab.example web1',
    '10.77.0.19 web1-side.lab.example web1-side',
  ]);
});

test('an edit that is not yet written is checked as if it were', async () => {
  const edited = new Map([['nodes/web1.yaml', 'mac: 52:54:00:77:00:11\nrole: wbe\n']]);
  const result = await loadFleet(dir, { edited });
  expect(result.ok).toBe(false);
  expect(await problems()).toEqual([]);
});

describe('against an image', () => {
  test('one that holds everything is fine', async () => {
    expect(checkAgainstImage(await good(), facts)).toEqual([]);
  });

  test('a package it lacks, for the nodes that need it', async () => {
    const { postfix: _, ...packages } = facts.packages;
    expect(checkAgainstImage(await good(), { ...facts, packages })).toEqual([
      {
        file: 'nodes/web2.yaml',
        line: 0,
        path: 'role',
        message: 'the image universal lacks the package postfix of the role mail',
        hint: 'rolecall build --publish',
      },
    ]);
  });

  test('accounts and units it lacks', async () => {
    const { dovecot: _, ...groups } = facts.groups;
    const { 'nginx.service': __, ...units } = facts.units;
    const messages = checkAgainstImage(await good(), { ...facts, groups, units }).map(
      (p) => p.message,
    );
    expect(messages).toEqual([
      expect.stringContaining('the unit nginx.service is neither in the image'),
      'the image has no group dovecot',
    ]);
  });
});

describe('warnings', () => {
  test('mailboxes in RAM', async () => {
    expect(warnings(await good()).map((w) => w.message)).toEqual([
      '/srv/mail of web2 lives in RAM: a reboot loses all mail data',
    ]);
  });

  test('a node known by its serial number alone is never heard where strangers are ignored', async () => {
    const fleet = await good();
    const nodes = new Map(fleet.site.nodes);
    const web1 = nodes.get('web1');
    if (!web1) throw new Error('no such node');
    const warned = (id: typeof web1.id, unknown: 'ignore' | 'spare' = 'ignore') =>
      warnings({
        ...fleet,
        site: { ...fleet.site, unknown, nodes: new Map([...nodes, ['web1', { ...web1, id }]]) },
      }).filter(({ path }) => path === 'id.serial');
    expect(warned({ macs: [], serial: 'CZJ1' })).toMatchObject([
      { message: expect.stringContaining('web1 never boots') },
    ]);
    expect(warned({ macs: [], serial: 'CZJ1' }, 'spare')).toEqual([]);
    expect(warned({ macs: [], serial: 'CZJ1', port: 'sw1/7' })).toEqual([]);
    expect(warned({ macs: web1.id.macs, serial: 'CZJ1' })).toEqual([]);
  });

  test('no mailboxes in RAM where a volume that the node mounts holds them', async () => {
    const edges = join(import.meta.dirname, '../../golden/overlay/edges/site');
    const fleet = await loadFleet(edges);
    if (!fleet.ok) throw new Error(JSON.stringify(fleet.problems));
    expect(warnings(fleet.value).filter((w) => w.message.includes('/srv/mail'))).toEqual([]);
  });

  test('a server that listens on none of its services’ ports, where its roles say on which', async () => {
    const service = 'vip: {boot: 10.77.0.80}, forward: dsr, balancers: [web2], servers: [web1]';
    await edit('site.yaml', 'roles:', `services: {www: {${service}, port: [80, 8080]}}\nroles:`);
    await edit('nodes/web2.yaml', 'role: mail', 'role: lb');
    const said = async () => warnings(await good()).map((w) => `${w.path} ${w.message}`);
    expect(await said()).toContain(
      'services.www.port nobody answers at web1, which serves www, on tcp/8080: none of the roles listens there',
    );
    expect((await said()).join('\n')).not.toContain('on tcp/80:');
    await write('roles/silent/role.yaml', 'summary: x\nready: "true"\n');
    const web3 = 'mac: 52:54:00:77:00:13\naddress: 10.77.0.13\nrole: web\n';
    await write('nodes/web3.yaml', web3);
    await edit('site.yaml', 'servers: [web1]', 'servers: {role: web}');
    expect((await said()).filter((line) => line.startsWith('services'))).toEqual([
      'services.www.port nobody answers at web1 and 1 other node, which serve www, on tcp/8080: none of the roles listens there',
    ]);
    await edit('site.yaml', 'servers: {role: web}', 'servers: [web1]');
    await edit('nodes/web1.yaml', 'role: web', 'role: silent');
    expect((await said()).join('\n')).not.toContain('nobody answers');
  });

  test('a mail domain without a node', async () => {
    await edit('nodes/web2.yaml', 'role: mail', 'role: web');
    expect(warnings(await good()).map((w) => w.message)).toEqual([
      'no node has the role mail, so its parameters do nothing: nobody takes mail for lab.example',
    ]);
  });
});

describe('what cannot be read is a problem like any other', () => {
  test('a file where the folder of roles should be', async () => {
    await write('roles', '');
    expect(await problems()).toEqual([
      'roles:0 it cannot be read: not a directory (ENOTDIR) | put a folder there, or take it away',
    ]);
  });

  test('a folder where role.yaml should be, and a file where files/ should be', async () => {
    await mkdir(join(dir, 'roles/cache/role.yaml'), { recursive: true });
    await write('roles/proxy/role.yaml', 'summary: a proxy\nready: "true"\n');
    await write('roles/proxy/files', '');
    expect(await problems()).toEqual([
      'roles/cache/role.yaml:0 it cannot be read: illegal operation on a directory (EISDIR) | put a file there, or take it away',
      'roles/proxy/files:0 it cannot be read: not a directory (ENOTDIR) | put a folder there, or take it away',
    ]);
  });
});
