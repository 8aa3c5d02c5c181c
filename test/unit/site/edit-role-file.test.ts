import { describe, expect, test } from 'vitest';
import { parseIpv4 } from '../../../src/net/ipv4.ts';
import { parseMac } from '../../../src/net/mac.ts';
import { describeEdit } from '../../../src/site/describe-edit.ts';
import { renderNewRoleFile, rolesOf, setRole } from '../../../src/site/edit-role-file.ts';
import { aSite, nodeYaml } from './a-site.ts';

describe('set-role', () => {
  test.each([
    ['a word', 'role: web\n', ['mail'], 'role: mail\n'],
    ['no line end', 'role: web', ['mail'], 'role: mail'],
    ['quoted', "role: 'web'  # c\n", ['mail'], 'role: mail   # c\n'],
    ['to a list', 'role: web\n', ['web', 'logs'], 'role: [web, logs]\n'],
    ['from a list', 'role: [web, logs]\n', ['mail'], 'role: mail\n'],
    [
      'the comment keeps its column',
      'a: 1         # one\nrole: web    # two\n',
      ['mail'],
      'a: 1         # one\nrole: mail   # two\n',
    ],
    ['a comment that is too near', 'role: web # two\n', ['storage'], 'role: storage # two\n'],
    [
      'order, blank lines, odd spacing',
      '# top\n\nmac:   x\n\n\nrole:   web\ntags: [ a,b ]\n# end\n',
      ['mail'],
      '# top\n\nmac:   x\n\n\nrole:   mail\ntags: [ a,b ]\n# end\n',
    ],
    ['Windows line ends', 'mac: x\r\nrole: web\r\n', ['mail'], 'mac: x\r\nrole: mail\r\n'],
    [
      'in a flow mapping',
      '{mac: x, role: web, tags: [a]}\n',
      ['mail'],
      '{mac: x, role: mail, tags: [a]}\n',
    ],
    [
      'a role of the same name elsewhere',
      'params: {role: web}\nrole: web\n',
      ['mail'],
      'params: {role: web}\nrole: mail\n',
    ],
    [
      'a block list',
      '# top\nrole:\n  - web # w\n  - logs\ntags: [a] # t\n',
      ['mail'],
      '# top\nrole: mail\ntags: [a] # t\n',
    ],
    [
      'a list over several lines',
      '# top\nrole: [web,\n  logs]\ntags: [a]\n',
      ['mail', 'web'],
      '# top\nrole: [mail, web]\ntags: [a]\n',
    ],
    ['none yet', '# top\nmac: x\n', ['mail'], '# top\nmac: x\nrole: mail\n'],
    ['empty', 'role:\nmac: x\n', ['mail'], 'role: mail\nmac: x\n'],
    ['an alias', 'x: &r web\nrole: *r # c\n', ['mail'], 'x: &r web\nrole: mail # c\n'],
    [
      'a block list, beside numbers that YAML would write otherwise',
      "role: # why\r\n- web\r\n- logs\r\nid: {serial: 0012345, port: 1e3}   # nic\r\ntags: [ 'a' ]\r\n",
      ['mail'],
      "role: mail # why\r\nid: {serial: 0012345, port: 1e3}   # nic\r\ntags: [ 'a' ]\r\n",
    ],
    [
      'an anchor that nothing uses',
      'role: &r web # c\nid: {serial: 007}\n',
      ['mail'],
      'role: mail # c\nid: {serial: 007}\n',
    ],
    ['a folded word', 'role: >-\n  web\n# a\nmac:  x\n', ['mail'], 'role: mail\n# a\nmac:  x\n'],
    ['empty with a comment', 'role: # soon\nmac:  x\n', ['mail'], 'role: mail # soon\nmac:  x\n'],
  ])('%s', (_, before, roles, after) => {
    expect(setRole(before, roles)).toBe(after);
  });

  test('and back again gives the file as it was', () => {
    const text = '# c\nmac: 52:54:00:00:00:0b   # x\nrole: web                # y\n';
    expect(setRole(setRole(text, ['mail', 'logs']), ['web'])).toBe(text);
  });

  test.each([
    'role: &r web\ntags: [*r]\n',
    'role: [web, &r logs]\ntags: [*r]\n',
    '{role, mac: x}\n',
    '{mac: x}\n',
  ])('refuses %j, which it could not write again', (text) => {
    expect(() => setRole(text, ['mail'])).toThrow(
      expect.objectContaining({ code: 'unreadable-role-file' }),
    );
  });

  test.each(['role: [web', '', 'web', '- role: web'])('refuses %j', (text) => {
    expect(() => setRole(text, ['mail'])).toThrow('not valid YAML');
  });
});

test.each([
  ['role: web # c\n', ['web']],
  ['role:\n  - web\n  - mail\n', ['web', 'mail']],
  ['tags: [&r web]\nrole: *r\n', ['web']],
  ['role: 1e3\n', ['1e3']],
  ['role:\n', []],
  ['role: *r\n', []],
  ['mac: x\n', []],
  ['web', []],
])('the roles of %j', (text, roles) => {
  expect(rolesOf(text)).toEqual(roles);
});

test('a new role file is read as what it was made from', () => {
  const mac = parseMac('52:54:00:00:00:21');
  const address = parseIpv4('10.77.0.21');
  if (!mac || !address) throw new Error('bad literals');
  const text = renderNewRoleFile({ id: { mac }, address, roles: ['web', 'logs'], tags: ['edge'] });
  expect(aSite({ web3: text }).nodes.get('web3')).toMatchObject({
    id: { macs: [mac] },
    roles: ['web', 'logs'],
    tags: ['edge'],
    links: [{ address, macs: [mac] }],
  });
});

test('a new role file of a machine that is known by no MAC is read likewise', () => {
  const address = parseIpv4('10.77.0.21');
  if (!address) throw new Error('bad literal');
  const id = {
    uuid: '4c4c4544-0042-3510-8053-b4c04f4a4b32',
    serial: '00123',
    port: "sw1: ge-0/0/7 'left'",
  };
  const text = renderNewRoleFile({ id, address, roles: ['web'], tags: [] });
  const node = aSite({ web3: text }).nodes.get('web3');
  expect(node?.id).toEqual({ macs: [], ...id });
  expect(node?.links).toMatchObject([{ network: 'boot', address, macs: [] }]);
});

test('an edit says who joins and leaves services', () => {
  const services =
    'services:\n  www: {vip: {boot: 10.77.0.100}, port: 80, forward: dsr, balancers: [web1], servers: {role: web}}\n';
  const before = aSite({ web1: nodeYaml(11), web2: nodeYaml(12) }, services);
  const after = aSite(
    { web1: nodeYaml(11), web2: nodeYaml(12, 'mail'), web3: nodeYaml(13) },
    services,
  );
  expect(describeEdit(before, after)).toEqual([
    'web2 leaves the servers of service www',
    'web3 joins the servers of service www',
  ]);
  expect(describeEdit(after, after)).toEqual([]);
});
