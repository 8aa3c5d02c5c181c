import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { digestOf } from '../../../src/digest.ts';
import type { BuildEvent } from '../../../src/images/execute-build.ts';
import { loadImageDefinition } from '../../../src/images/load-image-definition.ts';
import { lookForUpdates } from '../../../src/images/look-for-updates.ts';
import type { LockedPackage, PackageLock } from '../../../src/images/package-lock.ts';
import type { AvailablePackage } from '../../../src/images/security-updates.ts';

const hour = 3_600_000;
const curl: LockedPackage = {
  ...{ name: 'curl', version: '8.14.1-2', architecture: 'amd64', size: 1 },
  ...{ digest: digestOf('curl'), path: 'pool/curl.deb' },
};
const newer = { name: 'curl', version: '8.14.1-2+deb13u1', architecture: 'amd64' };
const update = { package: 'curl', from: curl.version, to: newer.version };

function lockOf(of: LockedPackage): PackageLock {
  return {
    ...{ suite: 'trixie', architecture: 'amd64', variant: 'minbase' },
    groups: [{ asked: [of.name], packages: [of] }],
    loaders: { asked: [], packages: [] },
  };
}

let folder: string;
let archive: readonly AvailablePackage[] | undefined;
let asked: number;
let events: BuildEvent[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'look-for-updates-'));
  [archive, asked, events] = [[newer], 0, []];
});
afterEach(() => rm(folder, { recursive: true }));

const supply = {
  securityPackages: async () => {
    asked += 1;
    return archive;
  },
};

async function look(at: number, lock = lockOf(curl), mirror?: string) {
  const definition = await loadImageDefinition(folder, 'universal');
  if (!definition.ok) throw new Error('the shipped image definition cannot be read');
  return lookForUpdates(supply, lock, {
    definition: definition.value,
    ...(mirror === undefined ? {} : { mirror }),
    answerFile: join(folder, 'security/universal-amd64.json'),
    now: () => at,
    onEvent: (event) => events.push(event),
  });
}

it('the archive is asked once in six hours for a lock, and what it said is told each time', async () => {
  expect(await look(0)).toEqual([update]);
  expect(await look(6 * hour - 1)).toEqual([update]);
  expect(asked).toBe(1);
  expect(events).toMatchObject([{ kind: 'warning' }, { kind: 'warning' }]);
  archive = [];
  expect(await look(6 * hour)).toEqual([]);
  expect(asked).toBe(2);
});

it('another lock, another mirror and a clock that was put back are asked for anew', async () => {
  await look(hour);
  expect(await look(hour, lockOf({ ...curl, version: newer.version }))).toEqual([]);
  await look(hour);
  await look(hour, lockOf(curl), 'http://mirror.example/debian');
  await look(hour);
  expect(await look(hour - 1)).toEqual([update]);
  expect(asked).toBe(6);
});

it('no answer is told, and not kept', async () => {
  archive = undefined;
  expect(await look(0)).toEqual([]);
  expect(events).toMatchObject([{ text: expect.stringContaining('is not known') }]);
  archive = [newer];
  expect(await look(1)).toEqual([update]);
});

it('an answer that is no answer is asked for anew', async () => {
  await look(0);
  await writeFile(join(folder, 'security/universal-amd64.json'), '{"question":');
  expect(await look(1)).toEqual([update]);
  expect(asked).toBe(2);
});
