import { describe, expect, test } from 'vitest';
import { parseRole } from '../../../src/roles/parse-role.ts';
import type { RoleFile } from '../../../src/roles/role.ts';

const tree: readonly RoleFile[] = [
  { path: '/etc/web.conf', source: '/r/web/files/etc/web.conf', kind: 'file' },
];

function parse(text: string, name = 'web') {
  return parseRole({
    name,
    dir: `/r/${name}`,
    own: true,
    file: `roles/${name}/role.yaml`,
    text,
    tree,
  });
}

test('a role that says little has the rest by default', () => {
  const result = parse('summary: a web server\nready: "true"\n');
  expect(result).toEqual({
    ok: true,
    value: {
      name: 'web',
      dir: '/r/web',
      own: true,
      summary: 'a web server',
      packages: [],
      units: [],
      modules: [],
      arguments: [],
      sysctls: {},
      parameters: { type: 'object', additionalProperties: false, properties: {} },
      needs: {},
      files: {},
      tree,
      remove: [],
      data: {},
      secrets: {},
      ready: 'true',
      reload: [],
    },
  });
});

test('every problem at once, each with its line', () => {
  const result = parse(`summry: x
packages: [nginx, Nginx Light, nginx]
units: [nginx]
sysctls: {net.ipv4.ip_forward: }
parameters: {properties: {port: {type: nubmer}}}
needs: {memory: lots}
files:
  /etc/wbe/web.conf: {mode: 0999}
  /etc/web.conf: {owner: "no good", apend: true}
remove: [etc/motd, /etc/../motd, /etc/web.conf]
data: {/srv/x: {mode: 0700}}
secrets: {/srv/key: {certificate: No, hosts: x}, /etc/web.conf: {}}
reload:
  - {paths: [relative], action: restrat}
`);
  expect(result.ok).toBe(false);
  if (result.ok) return;
  const said = result.problems.map((p) => `${p.line} ${p.message} | ${p.hint}`);
  expect(said).toEqual(
    expect.arrayContaining([
      '1 unknown key summry | did you mean summary?',
      expect.stringContaining('ready is missing'),
      '2 Nginx Light is not the name of a Debian package | ',
      '2 nginx is listed twice | once is enough',
      '3 nginx is not a systemd unit, such as nginx.service | ',
      expect.stringContaining('5 parameters is no JSON Schema'),
      expect.stringContaining('6 lots is no number'),
      '8 this role has no file /etc/wbe/web.conf | did you mean /etc/web.conf?',
      expect.stringContaining('8 0999 is no file mode'),
      expect.stringContaining('9 no good cannot be a user or group'),
      '9 unknown key apend | did you mean append?',
      expect.stringContaining('10 etc/motd is no absolute path'),
      expect.stringContaining('10 /etc/../motd is no absolute path'),
      '10 /etc/web.conf is removed and written by the same role | keep one of the two',
      expect.stringContaining('11 memory is missing'),
      '12 /srv/key is no file below /etc | such as /etc/ssl/private/mail.pem',
      expect.stringContaining('12 No cannot be the name of a certificate'),
      '12 /etc/web.conf is a secret and a file of the same role | keep one of the two',
      expect.stringContaining('12 certificate is missing'),
      expect.stringContaining('12 hosts is missing'),
      expect.stringContaining('14 relative is not an absolute path'),
      expect.stringContaining('14 unit is missing'),
      '14 action: restrat is not possible | did you mean restart?',
    ]),
  );
});

describe('the tree under files/', () => {
  test.each([
    ['/bin/x', 'write it under files/usr/bin/x'],
    ['/lib/systemd/system/x.service', 'write it under files/usr/lib/systemd/system/x.service'],
    ['/run/x', 'tmpfiles.d(5)'],
    ['/tmp/x', 'tmpfiles.d(5)'],
    ['/etc/naïve', 'ASCII'],
    ['/etc/systemd/system/srv-a\\x2db.mount', 'without a backslash'],
  ])('refuses %s', (path, hint) => {
    const result = parseRole({
      name: 'web',
      dir: '/r/web',
      own: false,
      file: 'role.yaml',
      text: 'summary: x\nready: "true"\n',
      tree: [{ path, source: `/r/web/files${path}`, kind: 'file' }],
    });
    expect(result.ok).toBe(false);
    if (!result.ok) expect(result.problems[0]?.hint).toContain(hint);
  });
});

test('the name of the folder is the name of the role', () => {
  const result = parse('summary: x\nready: "true"\n', 'Web_1');
  expect(result.ok).toBe(false);
});
