import { describe, expect, test } from 'vitest';
import { enableUnits } from '../../../src/roles/enable-units.ts';
import type { UnitInstall } from '../../../src/roles/image-facts.ts';
import { parseUnitInstall } from '../../../src/roles/unit-file.ts';

const install: Record<string, UnitInstall> = {
  'ssh.service': parseUnitInstall('[Install]\nWantedBy=multi-user.target\nAlias=sshd.service\n'),
  'getty@.service': parseUnitInstall('[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n'),
  'wait@.service': parseUnitInstall('[Install]\nRequiredBy=%p-%i-%j.target\nAlias=%n.alias\n'),
  'a.service': parseUnitInstall('[Install]\nWantedBy=x.target\nAlso=b.socket gone.service\n'),
  'b.socket': parseUnitInstall('[Install]\nWantedBy=sockets.target\nAlso=a.service\n'),
  'static.service': parseUnitInstall('[Service]\nExecStart=/bin/true\n'),
  'own.service': parseUnitInstall('[Install]\nWantedBy=multi-user.target\n'),
};
const path = { 'own.service': '/etc/systemd/system/own.service' };

function links(...units: string[]): readonly string[] {
  const result = enableUnits(units, { install, path });
  expect(result.faults).toEqual([]);
  return result.links.map((l) => (l.kind === 'symlink' ? `${l.path} -> ${l.target}` : l.path));
}

const e = '/etc/systemd/system';
const u = '/usr/lib/systemd/system';

describe('links as systemctl enable makes them', () => {
  test.each([
    [
      'WantedBy and Alias',
      'ssh.service',
      [
        `${e}/sshd.service -> ${u}/ssh.service`,
        `${e}/multi-user.target.wants/ssh.service -> ${u}/ssh.service`,
      ],
    ],
    [
      'an instance links to its template',
      'getty@ttyS0.service',
      [`${e}/getty.target.wants/getty@ttyS0.service -> ${u}/getty@.service`],
    ],
    [
      'specifiers',
      'wait@eth0.service',
      [
        `${e}/wait@eth0.service.alias -> ${u}/wait@.service`,
        `${e}/wait-eth0-wait.target.requires/wait@eth0.service -> ${u}/wait@.service`,
      ],
    ],
    [
      'Also comes along once, and what is not installed is passed over',
      'a.service',
      [
        `${e}/x.target.wants/a.service -> ${u}/a.service`,
        `${e}/sockets.target.wants/b.socket -> ${u}/b.socket`,
      ],
    ],
    [
      "a role's own unit",
      'own.service',
      [`${e}/multi-user.target.wants/own.service -> ${e}/own.service`],
    ],
  ])('%s', (_, unit, expected) => {
    expect(links(unit)).toEqual(expected);
  });
});

describe('what cannot be enabled', () => {
  test.each([
    ['sssh.service', 'neither in the image nor in the files', 'did you mean ssh.service?'],
    ['getty@.service', 'is a template', 'name an instance, such as getty@ttyS0.service'],
    ['static.service', 'has no [Install]', 'take it out'],
  ])('%s', (unit, message, hint) => {
    const { faults } = enableUnits([unit], { install, path });
    expect(faults).toHaveLength(1);
    expect(faults[0]?.message).toContain(message);
    expect(faults[0]?.hint).toContain(hint);
  });
});

describe('[Install] of a unit file', () => {
  test.each([
    [
      'lists repeat and hold several words',
      '[Install]\nWantedBy=a.target  b.target\nWantedBy=c.target',
      ['a.target', 'b.target', 'c.target'],
    ],
    [
      'an empty assignment resets',
      '[Install]\nWantedBy=a.target\nWantedBy=\nWantedBy=b.target',
      ['b.target'],
    ],
    [
      'a line goes on after a backslash',
      '[Install]\nWantedBy=a.target \\\n  b.target',
      ['a.target', 'b.target'],
    ],
    [
      'comments and other sections do not count',
      '[Unit]\nWantedBy=x\n[Install]\n#WantedBy=y\n;WantedBy=z\n',
      [],
    ],
  ])('%s', (_, text, expected) => {
    expect(parseUnitInstall(text).wantedBy).toEqual(expected);
  });
});
