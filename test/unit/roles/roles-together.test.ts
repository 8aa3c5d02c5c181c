import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadFleet } from '../../../src/roles/load-fleet.ts';
import { loadRoles } from '../../../src/roles/load-roles.ts';

const lab = join(import.meta.dirname, '../../golden/overlay/lab-swap/site');
const loaded = await loadRoles('/nowhere');
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
// base is on every node, and a spare is a machine that has no other role.
const names = [...loaded.value.keys()].filter((name) => !['base', 'spare'].includes(name));

let site: string;
beforeAll(async () => {
  site = await mkdtemp(join(tmpdir(), 'rolecall-together-'));
  await cp(lab, site, { recursive: true });
});
afterAll(() => rm(site, { recursive: true }));

const pairs = names.flatMap((a, i) => names.slice(i + 1).map((b) => `${a}, ${b}`));

test.each(pairs)('%s fit on one node', async (pair) => {
  const node = `mac: 52:54:00:77:00:11\naddress: 10.77.0.11\nrole: [${pair}]\n`;
  await writeFile(join(site, 'nodes/web1.yaml'), node);
  await rm(join(site, 'nodes/web2.yaml'), { force: true });
  const fleet = await loadFleet(site);
  expect(fleet.ok ? [] : fleet.problems).toEqual([]);
});
