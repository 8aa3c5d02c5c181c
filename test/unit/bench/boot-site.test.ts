import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  bootedNodes,
  parseAnswers,
  parseSteps,
  parseTimes,
  writeBootSite,
} from '../../../src/bench/boot-site.ts';
import { loadRoles } from '../../../src/roles/load-roles.ts';
import { loadSite } from '../../../src/site/load-site.ts';

const nodes = bootedNodes(['universal', 'packed-lz4']);
let site: string;
beforeAll(async () => {
  site = await mkdtemp(join(tmpdir(), 'boot-site-'));
  await writeBootSite(site, nodes);
});
afterAll(() => rm(site, { recursive: true }));

it('the site whose boots are measured has nothing wrong with it', async () => {
  const [loaded, roles] = await Promise.all([loadSite(site), loadRoles(site)]);
  expect(loaded).toMatchObject({ ok: true });
  expect(roles).toMatchObject({ ok: true });
  const found = loaded.ok ? [...loaded.value.nodes.values()] : [];
  expect(found.map(({ name, roles, image }) => [name, roles, image]).sort()).toEqual(
    nodes.map(({ name, image }) => [name, ['web', 'bench'], image]).sort(),
  );
});

const said = [
  'iPXE 1.21.1 -- Open Source Network Boot Firmware',
  'rolecall:    0.91 s  start    node universal-1, boot 1f, kernel 6.12.0',
  'rolecall:    4.20 s  root     128 MiB, SHA-256 as expected',
  '[  OK  ] Started nginx.service\r',
  'bench: answers at 14.02\r',
  'bench: init at 0.812345, systemd at 6123456, service at 12000000 end\r',
  '',
];

it("a machine's own words are told from the console's others", () => {
  expect(parseTimes(said.join('\n'))).toEqual({
    ...{ answers: 14.02, init: 0.812345, systemd: 6.123456, service: 12 },
  });
  expect([...parseSteps(said.join('\n'))]).toEqual([
    ['start', 0.91],
    ['root', 4.2],
  ]);
});

it('half a line says nothing yet', () => {
  const whole = said.join('\n');
  expect(parseAnswers(whole.slice(0, whole.indexOf('14.02') + 2))).toBeUndefined();
  expect(parseTimes(whole.slice(0, whole.indexOf(' end')))).toBeUndefined();
  expect(parseAnswers(whole.slice(0, whole.indexOf('bench: init')))).toBe(14.02);
});
