import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { leaveOutServices } from '../../../src/rehearsal/leave-out-services.ts';
import { loadSite } from '../../../src/site/load-site.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rc-leave-out-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  cpSync(join(import.meta.dirname, '../../../examples/lab'), folder, { recursive: true });
});

async function services(): Promise<readonly string[]> {
  const loaded = await loadSite(folder);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return [...loaded.value.services.keys()];
}

const note = (name: string) =>
  `service ${name}: left out of the lab's copy, as none of its servers is started`;

it('a service of which no server is started is not in the copy, and that is said', async () => {
  expect(await leaveOutServices(folder, new Set(['lb1', 'mail1']))).toEqual([note('www')]);
  expect(await services()).toEqual(['mail']);
});

it('one server of several is enough', async () => {
  expect(await leaveOutServices(folder, new Set(['web2', 'mail1']))).toEqual([]);
  expect(await services()).toEqual(['www', 'mail']);
});

it('a copy may be without any', async () => {
  expect(await leaveOutServices(folder, new Set(['lb1']))).toEqual([note('www'), note('mail')]);
  expect(await services()).toEqual([]);
});
