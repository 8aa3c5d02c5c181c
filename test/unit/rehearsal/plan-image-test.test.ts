import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lendRoles } from '../../../src/rehearsal/lend-roles.ts';
import { packRounds, planImageTest } from '../../../src/rehearsal/plan-image-test.ts';
import type { Fleet } from '../../../src/roles/fleet.ts';
import { loadFleet } from '../../../src/roles/load-fleet.ts';

const top = resolve(import.meta.dirname, '../../..');

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rc-image-test-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function fleetOf(site: string): Promise<Fleet> {
  const loaded = await loadFleet(site);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems, null, 2));
  return loaded.value;
}

/** The storage site with one more node for each pair of name and text. */
function siteWith(files: Readonly<Record<string, string>>): string {
  const site = join(folder, 'site');
  cpSync(join(top, 'test/lab/sites/storage'), site, { recursive: true });
  mkdirSync(join(site, 'users'));
  cpSync(join(top, 'test/lab/sites/webs/users/lab.yaml'), join(site, 'users/lab.yaml'));
  for (const [path, text] of Object.entries(files)) writeFileSync(join(site, path), text);
  return site;
}

const mail = `mac: 52:54:00:77:00:41
address: 10.77.0.41
role: mail
params: {mail: {memory: 32, domains: {depot.example: {users: users/lab.yaml}}}}
`;
const logs = 'mac: 52:54:00:77:00:42\naddress: 10.77.0.42\nrole: logs\n';

/** By machine the roles, and what must be there together. */
const shapeOf = ({ guests, units }: ReturnType<typeof planImageTest>) => ({
  guests: Object.fromEntries(guests.map((guest) => [guest.node, guest.roles])),
  units: units.map((unit) => [unit.proves.join(), unit.guests.join(), unit.spare]),
});

describe('an image is shown in each role of a site', () => {
  it('one machine for a site of web servers, and a spare', async () => {
    expect(
      shapeOf(planImageTest(await fleetOf(join(top, 'test/lab/sites/webs')), 'universal')),
    ).toEqual({
      guests: { web1: ['web'] },
      units: [
        ['web', 'web1', false],
        ['spare', '', true],
      ],
    });
  });

  it('who mounts a volume brings the pair that holds it; plain roles share a machine', async () => {
    const fleet = await fleetOf(siteWith({ 'nodes/mail1.yaml': mail, 'nodes/logs1.yaml': logs }));
    expect(shapeOf(planImageTest(fleet, 'universal'))).toEqual({
      guests: { web1: ['web', 'logs', 'mail'], nfs1: ['storage'], nfs2: ['storage'] },
      units: [
        ['web,logs,mail', 'web1,nfs1,nfs2', false],
        ['storage', 'nfs1,nfs2', false],
      ],
    });
  });

  it('roles that cannot be on one machine are on two', async () => {
    // Another role that listens where the first does.
    const site = siteWith({ 'nodes/other.yaml': logs.replace('logs', 'second') });
    mkdirSync(join(site, 'roles/second'), { recursive: true });
    writeFileSync(
      join(site, 'roles/second/role.yaml'),
      'summary: another\nlistens: [tcp/80]\nready: "true"\n',
    );
    const { guests } = planImageTest(await fleetOf(site), 'universal');
    expect(guests.map((guest) => [guest.node, guest.roles.join()])).toContainEqual([
      'other',
      'second',
    ]);
  });

  it('a balancer brings a server for each of its services', async () => {
    const fleet = await fleetOf(join(top, 'test/lab/sites/balancers'));
    const { units } = planImageTest(fleet, 'universal', ['lb']);
    expect(units).toEqual([{ proves: ['lb'], guests: ['lb1', 'web1'], spare: false }]);
  });

  it('whose company boots another image is not tried, and it is said why', async () => {
    const site = siteWith({ 'nodes/mail1.yaml': mail });
    for (const node of ['nfs1', 'nfs2']) {
      const file = join(site, `nodes/${node}.yaml`);
      writeFileSync(file, `${readFileSync(file, 'utf8')}image: slim\n`);
    }
    const plan = planImageTest(await fleetOf(site), 'universal');
    expect(plan.untried).toEqual([
      { role: 'web', reason: 'it needs nfs1, which boots the image slim' },
    ]);
    expect(plan.guests.map((guest) => guest.node)).toEqual(['mail1']);
  });

  it('a site of a hundred machines needs seven', async () => {
    const plan = planImageTest(await fleetOf(join(top, 'examples/hundred')), 'universal');
    expect(plan.guests).toHaveLength(6);
    expect(plan.units.flatMap((unit) => unit.proves).sort()).toEqual([
      'lb',
      'logs',
      'mail',
      'spare',
      'storage',
      'web',
    ]);
  });
});

it('machines are on at the same time as far as they fit', () => {
  const units = [
    { proves: ['web'], guests: ['web1', 'nfs1', 'nfs2'], spare: false },
    { proves: ['storage'], guests: ['nfs1', 'nfs2'], spare: false },
    { proves: ['lb'], guests: ['lb1', 'web2'], spare: false },
    { proves: ['spare'], guests: [], spare: true },
  ];
  const upTo = (count: number) =>
    packRounds(units, ({ guests, spare }) => guests.length + (spare ? 1 : 0) <= count);
  expect(upTo(6).rounds).toHaveLength(1);
  expect(upTo(3)).toEqual({
    rounds: [
      { guests: ['web1', 'nfs1', 'nfs2'], spare: false },
      { guests: ['lb1', 'web2'], spare: true },
    ],
    left: [],
  });
  expect(upTo(2).left).toEqual([units[0]]);
});

it('a copy of the site says what the machines play, with the parameters of whom they stand in for', async () => {
  const site = siteWith({ 'nodes/mail1.yaml': mail });
  const plan = planImageTest(await fleetOf(site), 'universal');
  expect(await lendRoles(site, plan.guests)).toEqual(['web1 plays mail of mail1 too']);
  const { nodes } = (await fleetOf(site)).site;
  expect(nodes.get('web1')).toMatchObject({
    roles: ['web', 'mail'],
    params: { mail: { memory: 32 } },
  });
});
