import { expect, test } from 'vitest';
import type { Result } from '../../../src/errors.ts';
import type { Fleet } from '../../../src/roles/fleet.ts';
import type { Generation } from '../../../src/server/generation.ts';
import { createSiteInForce } from '../../../src/server/site-in-force.ts';
import { aSite, nodeYaml } from '../site/a-site.ts';

function fleetOf(nodes: Readonly<Record<string, string>>): Fleet {
  return { site: aSite(nodes), roles: new Map(), sources: new Map(), siteTexts: new Map() };
}

function generationOf(fleet: Fleet, number: number): Generation {
  const bootSet = async () => ({ ok: false, reason: 'no image' }) as const;
  return {
    number,
    fleet,
    loaders: {},
    sets: new Map(),
    notes: new Map(),
    untested: [],
    bootSet,
    overlays: () => new Set(),
  };
}

function reading(fleet: Fleet): Result<Fleet> {
  return { ok: true, value: fleet };
}

test('a site that cannot be prepared is a problem to see, until it can', async () => {
  let full = true;
  const site = createSiteInForce({
    first: generationOf(fleetOf({ web1: nodeYaml(21) }), 1),
    prepare: async (fleet, number) => {
      if (full) throw new Error('no space left on device');
      return generationOf(fleet, number);
    },
    keep: async () => {
      throw new Error('no space left on device');
    },
    journal: { listeningSince: 0, add: () => {}, machines: () => new Map(), stop: () => {} },
    log: () => {},
  });
  let looks = 0;
  site.subscribe(() => {
    looks += 1;
  });
  const edited = reading(fleetOf({ web1: nodeYaml(21, 'mail') }));
  await expect(site.accept(edited)).rejects.toThrow('no space');
  expect(site.generation().number).toBe(1);
  expect(site.problem()?.problems).toMatchObject([{ message: 'no space left on device' }]);
  full = false;
  await site.accept(edited);
  expect(site.generation().number).toBe(2);
  expect(site.problem()).toBeUndefined();
  expect(looks).toBe(2);
});

test('a broken site is said once, and so is the end of that', async () => {
  const lines: string[] = [];
  const good = fleetOf({ web1: nodeYaml(21) });
  const site = createSiteInForce({
    first: generationOf(good, 1),
    prepare: async (fleet, number) => generationOf(fleet, number),
    keep: async () => {},
    journal: { listeningSince: 0, add: () => {}, machines: () => new Map(), stop: () => {} },
    log: (line) => lines.push(line),
  });
  const problem = { file: 'nodes/web1.yaml', message: 'not valid YAML', hint: '' };
  const broken: Result<Fleet> = { ok: false, problems: [{ ...problem, line: 1, path: '' }] };
  await site.accept(broken);
  await site.accept(broken);
  expect(lines).toEqual([expect.stringContaining('the last good one is served')]);
  await site.accept(reading(good));
  await site.accept(reading(good));
  expect(lines.slice(1)).toEqual(['site: the site on disk is served again']);
});
