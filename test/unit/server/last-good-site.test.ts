import {
  appendFileSync,
  chmodSync,
  cpSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadFleet } from '../../../src/roles/load-fleet.ts';
import type { Role } from '../../../src/roles/role.ts';
import { openLastGoodSite } from '../../../src/server/last-good-site.ts';
import { temporaryFolder } from '../state/temporary-folder.ts';

const shipped = join(import.meta.dirname, '../../golden/overlay/edges/site');

async function fleetOf(folder: string) {
  const fleet = await loadFleet(folder);
  if (!fleet.ok) throw new Error(JSON.stringify(fleet.problems, null, 2));
  return fleet.value;
}

/** A site folder to edit, and the state folder beside it. */
function folders() {
  const [site, state] = [temporaryFolder(), temporaryFolder()];
  cpSync(shipped, site, { recursive: true, verbatimSymlinks: true });
  return { site, state, file: join(site, 'site.yaml') };
}

it('what was kept is read again, whatever the site folder has become', async () => {
  const { site, state, file } = folders();
  const served = await fleetOf(site);
  await openLastGoodSite(state).keep(site, served);
  writeFileSync(file, 'site: [half');
  const kept = await openLastGoodSite(state).load();
  expect(kept?.site).toEqual(served.site);
  expect([...(kept?.sources.values() ?? [])]).toEqual([...served.sources.values()]);
});

it('an empty state folder holds no site', async () => {
  expect(await openLastGoodSite(temporaryFolder()).load()).toBeUndefined();
});

it('a later site takes the place of the one before, and nothing else is left', async () => {
  const { site, state, file } = folders();
  const last = openLastGoodSite(state);
  await last.keep(site, await fleetOf(site));
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^site: .*$/m, 'site: osaka'));
  await last.keep(site, await fleetOf(site));
  expect((await last.load())?.site.name).toBe('osaka');
  expect(readdirSync(join(state, 'last-good-site'))).toHaveLength(2);
});

it.each([
  ['role.yaml', (role: string) => appendFileSync(join(role, 'role.yaml'), '\nlistens: [tcp/7]\n')],
  [
    "a file's name",
    (role: string) =>
      renameSync(join(role, 'files/etc/extra/nothing'), join(role, 'files/etc/extra/nothing2')),
  ],
  [
    'where a link leads',
    (role: string) => {
      rmSync(join(role, 'files/etc/extra/link.conf'));
      symlinkSync('elsewhere', join(role, 'files/etc/extra/link.conf'));
    },
  ],
])('an edit of a role of the site that changes only %s is kept too', async (_what, edit) => {
  const { site, state } = folders();
  const last = openLastGoodSite(state);
  await last.keep(site, await fleetOf(site));
  edit(join(site, 'roles/extra'));
  const served = await fleetOf(site);
  await last.keep(site, served);
  const words = (role: Role | undefined) =>
    JSON.stringify(role).replaceAll(JSON.stringify(role?.dir).slice(1, -1), '');
  expect(words((await last.load())?.roles.get('extra'))).toBe(words(served.roles.get('extra')));
});

it('a folder edited since it was read is not kept in its place', async () => {
  const { site, state, file } = folders();
  const last = openLastGoodSite(state);
  const served = await fleetOf(site);
  await last.keep(site, served);
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^site: .*$/m, 'site: osaka'));
  const meanwhile = { ...served, site: { ...served.site, name: 'kyoto' } };
  await last.keep(site, meanwhile);
  expect((await last.load())?.site.name).toBe(served.site.name);
});

it('neither set-group-ID folders nor set-user-ID files are copied as such: a sandbox may refuse to make them', async () => {
  const { site, state, file } = folders();
  chmodSync(join(site, 'nodes'), 0o2750);
  chmodSync(file, 0o4710);
  await openLastGoodSite(state).keep(site, await fleetOf(site));
  const kept = join(state, 'last-good-site/served');
  expect(statSync(join(kept, 'nodes')).mode & 0o7000).toBe(0);
  expect(statSync(join(kept, 'site.yaml')).mode & 0o7777).toBe(0o710);
});
