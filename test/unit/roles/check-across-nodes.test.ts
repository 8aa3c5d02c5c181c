import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { renderProblems } from '../../../src/render-problems.ts';
import { warnings } from '../../../src/roles/check-fleet.ts';
import { loadFleet, withLines } from '../../../src/roles/load-fleet.ts';
import { sortProblems } from '../../../src/site/parse-site.ts';

const lab = join(import.meta.dirname, '../../../examples/lab');

type Edit = readonly [file: string, from: string | RegExp, to: string];

/** All that an operator reads of the lab's site after the edits: problems, or else what it is warned of. */
async function said(edits: readonly Edit[]): Promise<string> {
  const edited = new Map<string, string>();
  for (const [file, from, to] of edits) {
    const text = edited.get(file) ?? (await readFile(join(lab, file), 'utf8'));
    expect(text).toMatch(from);
    edited.set(file, text.replace(from, to));
  }
  const fleet = await loadFleet(lab, { edited });
  const found = fleet.ok ? await withLines(lab, warnings(fleet.value), edited) : fleet.problems;
  return renderProblems(sortProblems(found));
}

const site = (from: string | RegExp, to: string): Edit => ['site.yaml', from, to];
/** An edit of the first place behind a service's or volume's name. */
const under = (key: string, from: string, to: string): Edit =>
  site(new RegExp(`(\\n  ${key}:\\n[\\s\\S]*?)${from}`), `$1${to}`);
const wider = (node: string, digits: string): Edit => [
  `nodes/${node}.yaml`,
  /mac: (.*)\naddress: (.*)\n/,
  `links:\n  boot: { nic: $1, address: $2 }\n  outside: { nic: 52:54:00:79:00:${digits}, address: 203.0.113.${digits} }\n`,
];

// What no file says alone: each with the line to look at, and what to type.
test.each<[string, readonly Edit[], readonly string[]]>([
  ['nothing is wrong as it is', [], []],
  [
    'two groups of balancers with one virtual router ID',
    [
      under('www', '    balancers: .*\n', '    balancers: [lb1, lb2]\n    vrid: { boot: 7 }\n'),
      under('mail', '    balancers: .*\n', '    balancers: [lb1]\n    vrid: { boot: 7 }\n'),
    ],
    [
      'site.yaml:49: VRID 7 on boot is also that of www, on other balancers (lb1, lb2)',
      '    leave one out: rolecall finds one that is free',
    ],
  ],
  [
    'a VIP that a node has as its address',
    [under('mail', '10\\.77\\.0\\.25', '10.77.0.11')],
    [
      'site.yaml:44: 10.77.0.11, the VIP of service mail, is also the address of node web1 (nodes/web1.yaml:4)',
      '    10.77.0.2 is free',
    ],
  ],
  [
    'a VIP that a volume has too',
    [under('mail', '10\\.77\\.0\\.25', '10.77.0.110')],
    [
      'site.yaml:58: 10.77.0.110, the VIP of volume www, is also the VIP of service mail (site.yaml:44)',
      '    10.77.0.2 is free',
    ],
  ],
  [
    'dsr to servers outside the subnet of the VIP',
    [
      site('networks:\n', 'networks:\n  outside: { subnet: 203.0.113.0/24 }\n'),
      under('www', '\\{ boot: 10\\.77\\.0\\.80 \\}', '{ outside: 203.0.113.80 }'),
      wider('lb1', '21'),
      wider('lb2', '22'),
      wider('web2', '12'),
    ],
    [
      'site.yaml:42: web1 has no link on outside: dsr reaches only servers on the network of the VIP',
      '    add outside: to links in nodes/web1.yaml, or write forward: nat',
    ],
  ],
  [
    'nat without an inside VIP',
    [under('www', 'forward: dsr', 'forward: nat')],
    [
      'site.yaml:35: service www has no inside',
      '    nat answers return by an inside VIP: add inside: {boot: 10.77.0.100}',
    ],
  ],
  [
    'a volume without a disk',
    [under('www', '    device: .*\n', '')],
    ['site.yaml:54: volume www has no device', '    such as device: /dev/disk/by-id/virtio-www'],
  ],
  [
    'two volumes on one disk',
    [site('virtio-mail', 'virtio-www')],
    [
      'site.yaml:61: volumes www and mail use one device, /dev/disk/by-id/virtio-www, on one node',
      '    each volume needs a device of its own',
    ],
  ],
  [
    'a node of a pair without the link of the replication',
    [['nodes/nfs2.yaml', /.*storage: \{.*\n/, '']],
    [
      'site.yaml:57: node nfs2 has no link on storage, which carries the replication',
      '    add storage: to links in nodes/nfs2.yaml',
      'site.yaml:64: node nfs2 has no link on storage, which carries the replication',
      '    add storage: to links in nodes/nfs2.yaml',
    ],
  ],
  [
    'a client that no route leads to its volume',
    [
      under('www', '\\{ boot: 10\\.77\\.0\\.110 \\}', '{ storage: 10.78.0.110 }'),
      site('    gateway: 10.77.0.1\n', ''),
    ],
    [
      'site.yaml:58: web1 is a client of the volume www, and no route leads from it to storage',
      '    add storage: to links in nodes/web1.yaml, or a vip: on one of its networks',
      'site.yaml:58: web2 is a client of the volume www, and no route leads from it to storage',
      '    add storage: to links in nodes/web2.yaml, or a vip: on one of its networks',
    ],
  ],
  [
    'a service and a volume that nobody is for',
    [['nodes/mail1.yaml', 'role: mail', 'role: spare']],
    [
      'site.yaml:48: no node has role mail',
      '    roles that nodes have: lb, spare, storage, web',
      'site.yaml:66: no node has role mail',
      '    roles that nodes have: lb, spare, storage, web',
    ],
  ],
  [
    'a mail domain without a node',
    [
      ['nodes/mail1.yaml', 'role: mail', 'role: spare'],
      site(/\n {2}mail:\n {4}vip:[\s\S]*?\n\n/, '\n\n'),
      site(/\n {2}mail:\n {4}nodes:[\s\S]*?\n\n/, '\n\n'),
    ],
    [
      'site.yaml:57: no node has the role mail, so its parameters do nothing: nobody takes mail for lab.example',
      '    rolecall node set-role <node> mail',
    ],
  ],
])('%s', async (_what, edits, lines) => {
  expect(await said(edits)).toBe(lines.join('\n'));
});
