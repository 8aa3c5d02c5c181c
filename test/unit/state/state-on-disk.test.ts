import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type BootSet, createBootSet } from '../../../src/boot/boot-set.ts';
import { digestOf } from '../../../src/digest.ts';
import type { AppError } from '../../../src/errors.ts';
import { defaultEventLimits } from '../../../src/state/events.ts';
import { openState, type State, type StateOptions } from '../../../src/state/state.ts';
import { address, event, mac, report, start, wholeBoot } from './fold.ts';
import { temporaryFolder } from './temporary-folder.ts';

function open(folder: string, options?: StateOptions): State {
  const state = openState(folder, options);
  onTestFinished(() => state.close());
  return state;
}

/** What the state folder was closed with, read by the next server. */
function reopen(state: State, folder: string): State {
  state.close();
  return open(folder);
}

function refusal(folder: string): AppError {
  try {
    openState(folder).close();
  } catch (error) {
    return error as AppError;
  }
  throw new Error('it opened');
}

function setOf(name: string, overlay = digestOf(`overlay of ${name}`)): BootSet {
  const blob = (what: string) => ({ digest: digestOf(what), size: 10 });
  return createBootSet({
    node: name,
    roles: ['web'],
    image: digestOf('manifest'),
    kernel: blob('kernel'),
    initramfs: blob('initramfs'),
    root: [blob('root')],
    overlay: { digest: overlay, size: 10 },
    arguments: ['quiet'],
  });
}

function begin(state: State, bootId: string, createdAt = start, machine = mac(1)) {
  const boot = { machine, node: 'web1', set: setOf('web1'), token: `token of ${bootId}` };
  return state.boots.record({ bootId, ...boot, createdAt, address: address(21) });
}

describe('the folder', () => {
  test('is for its owner alone, also where it was open to others before', () => {
    const folder = join(temporaryFolder(), 'deep', 'state');
    open(folder);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const other = temporaryFolder();
    chmodSync(other, 0o755);
    open(other);
    expect(statSync(other).mode & 0o777).toBe(0o700);
  });

  test('has one server at a time', () => {
    const folder = temporaryFolder();
    const first = open(folder);
    const error = refusal(folder);
    expect(error.code).toBe('state-in-use');
    expect(error.message).toContain(folder);
    expect(error.hint).toContain('--state');
    reopen(first, folder);
  });

  test('is let go of, with the last reports, also where the last events cannot be written', async () => {
    const folder = temporaryFolder();
    const state = openState(folder);
    await begin(state, 'a');
    state.boots.reported('a', 'alive', start + 9000);
    // What a full disk does to an insert, a value of no column type does too.
    state.events.append({ ...event(1, { kind: 'silent' }), at: {} as number });
    state.close();
    expect(open(folder).boots.get('a')?.lastReportAt).toBe(start + 9000);
  });

  test('that is a file is refused with what to type', () => {
    const path = join(temporaryFolder(), 'file');
    writeFileSync(path, '');
    expect(refusal(path)).toMatchObject({ code: 'state-unreadable' });
  });

  test.each([
    ['no database at all', () => Buffer.from('this was a database before somebody edited it')],
    [
      'a database with overwritten pages',
      (bytes: Buffer) => {
        bytes.fill(0x5a, 4096);
        return bytes;
      },
    ],
    ['a database cut short', (bytes: Buffer) => bytes.subarray(0, bytes.length - 5000)],
  ])('with %s is refused, and says what is lost and how to go on', (_name, damage) => {
    const folder = temporaryFolder();
    const before = openState(folder);
    for (let n = 0; n < 200; n += 1) before.events.append(event(n, { kind: 'silent' }));
    before.close();
    const path = join(folder, 'rolecall.db');
    writeFileSync(path, damage(readFileSync(path)));
    const error = refusal(folder);
    expect(error.code).toBe('state-corrupt');
    expect(error.hint).toContain(`mv ${path} ${path}.damaged`);
  });
});

describe('events', () => {
  test('are there after a restart, in order', () => {
    const folder = temporaryFolder();
    const state = open(folder);
    const boot = wholeBoot(0, 'a');
    for (const e of boot) state.events.append(e);
    expect([...reopen(state, folder).events.all()]).toEqual(boot);
  });

  test('are bounded for each machine, newest kept', () => {
    const folder = temporaryFolder();
    const state = open(folder, { events: { ...defaultEventLimits, perMachine: 10 } });
    const quiet = event(0, { kind: 'silent' }, 'web2', mac(2));
    state.events.append(quiet);
    for (let n = 0; n < 500; n += 1) {
      state.events.append(report(n, 'a', n % 2 ? 'ready' : 'failed'));
    }
    expect(state.events.list({ machine: mac(1) }).map((e) => e.event.at)).toEqual(
      Array.from({ length: 10 }, (_, i) => start + (490 + i) * 1000),
    );
    expect(state.events.list({ machine: mac(2) }).map((e) => e.event)).toEqual([quiet]);
  });

  test('are bounded by age and in all', () => {
    const limits = { perMachine: 100, maxAge: 50_000, total: 20 };
    const state = open(temporaryFolder(), { events: limits });
    for (let n = 0; n < 100; n += 1) {
      state.events.append(event(n, { kind: 'silent' }, 'web1', mac(n)));
    }
    state.events.prune(start + 100_000);
    expect(state.events.list().map((e) => e.event.at)[0]).toBe(start + 80_000);
    state.events.prune(start + 140_000);
    expect(state.events.list().map((e) => e.event.at)[0]).toBe(start + 90_000);
  });

  test('are bounded during a flood too, not only at the next pruning', () => {
    const limits = { perMachine: 100, maxAge: 50_000, total: 100 };
    const state = open(temporaryFolder(), { events: limits });
    for (let n = 0; n < 1000; n += 1) {
      state.events.append(event(n, { kind: 'silent' }, 'web1', mac(n % 256)));
      if (n % 10 === 0) state.events.flush();
    }
    const kept = state.events.list({ limit: 1000 });
    expect(kept.at(-1)?.event.at).toBe(start + 999_000);
    expect(kept.length).toBeGreaterThanOrEqual(100);
    expect(kept.length).toBeLessThanOrEqual(120);
  });

  test('can be asked for since a time, and the newest so many', () => {
    const state = open(temporaryFolder());
    for (let n = 0; n < 20; n += 1) state.events.append(event(n, { kind: 'silent' }));
    const since = state.events.list({ since: start + 17_000 });
    expect(since.map((e) => e.event.at - start)).toEqual([17_000, 18_000, 19_000]);
    expect(state.events.list({ limit: 2 }).map((e) => e.event.at - start)).toEqual([
      18_000, 19_000,
    ]);
  });

  test('alive reaches listeners and is not kept', () => {
    const state = open(temporaryFolder());
    const heard: string[] = [];
    const end = state.events.subscribe((e) => heard.push(e.kind));
    state.events.append(report(1, 'a', 'alive'));
    end();
    state.events.append(report(2, 'a', 'ready'));
    expect(heard).toEqual(['stage']);
    expect(state.events.list()).toHaveLength(1);
  });
});

describe('boots', () => {
  test('are there after a restart with their set, and by machine and address', async () => {
    const folder = temporaryFolder();
    const state = open(folder);
    await begin(state, 'a', start);
    const boot = await begin(state, 'b', start + 1);
    state.boots.reported('b', 'kernel', start + 2);
    state.boots.reported('b', 'alive', start + 9);
    const { boots } = reopen(state, folder);
    const expected = { ...boot, lastReportAt: start + 9, lastStage: 'kernel' };
    expect(boots.get('b')).toEqual(expected);
    expect(boots.latestOf(mac(1))).toEqual(expected);
    expect(boots.latestAt('10.77.0.21')).toEqual(expected);
    expect(boots.set(boot.set.digest)).toEqual(boot.set);
    expect(boots.get('c')).toBeUndefined();
    expect(boots.reported('c', 'ready', start)).toBe(false);
    expect(boots.reported('c', 'alive', start)).toBe(false);
  });

  test('a token opens once, also across a restart, and no other opens', async () => {
    const folder = temporaryFolder();
    const state = open(folder);
    await begin(state, 'a');
    await begin(state, 'b');
    expect(state.boots.useToken('a', 'token of b', start)).toBe('unknown');
    expect(state.boots.useToken('a', '', start)).toBe('unknown');
    expect(state.boots.useToken('c', 'token of a', start)).toBe('unknown');
    expect(state.boots.useToken('c', '', start)).toBe('unknown');
    expect(state.boots.useToken('a', 'token of a', start)).toBe('ok');
    expect(state.boots.useToken('a', 'token of a', start)).toBe('used');
    const after = reopen(state, folder);
    expect(after.boots.useToken('a', 'token of a', start)).toBe('used');
    expect(after.boots.useToken('b', 'token of b', start)).toBe('ok');
    expect(after.boots.get('b')?.tokenUsedAt).toBe(start);
  });

  test('no token is kept in the clear', async () => {
    const folder = temporaryFolder();
    const state = open(folder);
    await begin(state, 'a');
    state.close();
    expect(readFileSync(join(folder, 'rolecall.db')).includes('token of a')).toBe(false);
  });

  test('old ones go, save the newest of each machine and those that still report', async () => {
    const state = open(temporaryFolder());
    const day = 86_400_000;
    await begin(state, 'old', start);
    await begin(state, 'reporting', start + 1);
    await begin(state, 'newest', start + 2);
    await begin(state, 'only', start, mac(2));
    state.boots.reported('newest', 'kernel', start + 3);
    state.boots.reported('only', 'kernel', start + 1);
    state.boots.reported('reporting', 'alive', start + 29 * day);
    state.boots.prune(start + 30 * day);
    expect(state.boots.list().map((b) => b.bootId)).toEqual(['only', 'reporting', 'newest']);
    expect(state.boots.referenced()).toContain(digestOf('root'));
    expect(state.boots.referenced()).toContain(digestOf('overlay of web1'));
  });
});

test('scripts that made-up machines asked for are not kept for ever', async () => {
  const state = open(temporaryFolder());
  const day = 86_400_000;
  await begin(state, 'running', start);
  state.boots.reported('running', 'ready', start + 20_000);
  for (let n = 2; n < 20; n += 1) await begin(state, `made-up ${n}`, start, mac(n));
  state.boots.prune(start + 6 * day);
  expect(state.boots.list()).toHaveLength(19);
  state.boots.prune(start + 8 * day);
  expect(state.boots.list().map((b) => b.bootId)).toEqual(['running']);
});

describe('a boot whose node follows to other sets', () => {
  const later = setOf('web1', digestOf('a later overlay'));
  const last = setOf('web1', digestOf('the last overlay'));

  test('runs the set that it was told to follow to when it says so, also after a restart', async () => {
    const folder = temporaryFolder();
    const state = open(folder);
    const boot = await begin(state, 'a');
    expect(boot.runs).toEqual(boot.set);
    expect(state.boots.followed('a', later.digest)).toBe(false);
    state.boots.offer('a', later);
    expect(state.boots.get('a')).toMatchObject({ runs: boot.set, offered: later.digest });
    expect(state.boots.set(later.digest)).toEqual(later);
    expect(state.boots.followed('a', later.digest)).toBe(true);
    const after = reopen(state, folder);
    expect(after.boots.get('a')).toEqual({ ...boot, runs: later });
    expect(after.boots.followed('a', boot.set.digest)).toBe(true);
    expect(after.boots.get('a')).toEqual(boot);
  });

  test('keeps what it booted, runs, and was told to follow to, and no more', async () => {
    const state = open(temporaryFolder());
    const boot = await begin(state, 'a');
    const kept = () =>
      [boot.set, later, last].map(({ overlay }) => state.boots.referenced().has(overlay.digest));
    state.boots.offer('a', later);
    state.boots.prune(start);
    expect(kept()).toEqual([true, true, false]);
    state.boots.followed('a', later.digest);
    state.boots.offer('a', last);
    state.boots.prune(start);
    expect(kept()).toEqual([true, true, true]);
    // The word that it followed was lost, and it was told of a newer one meanwhile.
    state.boots.followed('a', last.digest);
    state.boots.prune(start);
    expect(kept()).toEqual([true, false, true]);
  });
});

describe('overlays', () => {
  test('are files by digest, whole or not there', async () => {
    const folder = temporaryFolder();
    const state = open(folder);
    const tar = Buffer.from('an overlay');
    const blob = await state.overlays.put(tar);
    expect(blob).toEqual({ digest: digestOf(tar), size: tar.length });
    expect(await state.overlays.put(tar)).toEqual(blob);
    const path = state.overlays.file(blob.digest)?.path ?? '';
    expect(readFileSync(path)).toEqual(tar);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(state.overlays.file(digestOf('other'))).toBeUndefined();
  });

  test('one cut short is written anew', async () => {
    const state = open(temporaryFolder());
    const { digest } = await state.overlays.put(Buffer.from('an overlay'));
    const path = state.overlays.file(digest)?.path ?? '';
    writeFileSync(path, 'an');
    await state.overlays.put(Buffer.from('an overlay'));
    expect(readFileSync(path, 'utf8')).toBe('an overlay');
  });

  test('what a killed server left half-written goes at the next start', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'overlays'));
    writeFileSync(join(folder, 'overlays', '.writing-0123'), 'half');
    open(folder);
    expect(readdirSync(join(folder, 'overlays'))).toEqual([]);
  });

  test('are kept while a boot or the generation in use names them', async () => {
    const state = open(temporaryFolder());
    const put = async (text: string) => (await state.overlays.put(Buffer.from(text))).digest;
    const [named, current, neither] = [
      await put('named'),
      await put('current'),
      await put('neither'),
    ];
    await state.boots.record({
      bootId: 'a',
      machine: mac(1),
      node: 'web1',
      set: setOf('web1', named),
      token: 't',
      createdAt: Date.now(),
      address: address(21),
    });
    state.prune(Date.now(), new Set([current]));
    expect(state.overlays.file(neither), 'a new one is spared').toBeDefined();
    state.prune(Date.now() + 2 * 86_400_000, new Set([current]));
    expect(state.overlays.file(named)).toBeDefined();
    expect(state.overlays.file(current)).toBeDefined();
    expect(state.overlays.file(neither)).toBeUndefined();
  });
});

test('leases are there after a restart', () => {
  const folder = temporaryFolder();
  const state = open(folder);
  const lease = { mac: mac(1), address: address(201), expires: start + 1, boundAt: start };
  state.leases.put({ ...lease, address: address(200) });
  state.leases.put(lease);
  state.leases.put({ ...lease, mac: mac(2), address: address(200) });
  state.leases.delete(mac(2));
  state.leases.put({ ...lease, mac: mac(3), address: address(202) });
  state.leases.put({ ...lease, mac: mac(4), address: address(202) });
  const { leases } = reopen(state, folder);
  expect(leases.of(mac(1))).toEqual(lease);
  expect(leases.at(address(201))).toEqual(lease);
  expect(leases.at(address(200))).toBeUndefined();
  expect(leases.of(mac(3)), 'another machine has its address').toBeUndefined();
  expect(leases.at(address(202))?.mac).toBe(mac(4));
});

test('what a server said is on disk survives its kill -9, and the next one opens at once', async () => {
  const folder = temporaryFolder();
  for (const lines of [2, 40, 121]) {
    const writer = new URL('./writer.ts', import.meta.url).pathname;
    const runs = spawn(process.execPath, [writer, join(folder, String(lines))], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void runs.kill('SIGKILL'));
    let said = '';
    runs.stdout.on('data', (part: Buffer) => {
      said += part;
      if (said.split('\n').length > lines) runs.kill('SIGKILL');
    });
    await once(runs, 'close');
    const done = said.split('\n').slice(0, -1);
    const last = (what: string) =>
      Number(done.findLast((line) => line.startsWith(`${what} `))?.split(' ')[1] ?? 0);
    expect(last('boot')).toBeGreaterThan(0);

    const state = open(join(folder, String(lines)));
    for (let n = 1; n <= last('boot'); n += 1) {
      const boot = state.boots.get(String(n));
      expect(boot?.set.digest, `boot ${n}`).toBeDefined();
      const overlay = boot && state.overlays.file(boot.set.overlay.digest);
      expect(overlay && readFileSync(overlay.path, 'utf8')).toBe(`overlay ${n}`);
    }
    for (let n = 1; n <= last('token'); n += 1) {
      expect(state.boots.useToken(String(n), `token ${n}`, 0), `token ${n}`).toBe('used');
    }
    const newest = last('lease');
    if (newest > 0) {
      expect(state.leases.of(mac(newest % 200))?.expires).toBeGreaterThanOrEqual(newest);
    }
  }
});
