import { expect, onTestFinished, test, vi } from 'vitest';
import { createBootSet } from '../../../src/boot/boot-set.ts';
import { digestOf } from '../../../src/digest.ts';
import type { Hardware } from '../../../src/state/event.ts';
import { openState } from '../../../src/state/state.ts';
import { trackNodes } from '../../../src/state/track-nodes.ts';
import { address, mac, report, start, wholeBoot } from './fold.ts';
import { temporaryFolder } from './temporary-folder.ts';

const hardware: Hardware = {
  ...{ cpu: 'a CPU', cpus: 2, memory: 2048, disks: [], nics: [], serial: 'S1', uuid: '' },
  ...{ product: 'a server', firmware: 'bios' },
};

/** A server's state and tracker on a clock that the test moves. */
function follow(folder = temporaryFolder(), from = start) {
  vi.useFakeTimers({ now: from, toFake: ['setInterval', 'clearInterval', 'Date'] });
  const state = openState(folder);
  const tracker = trackNodes(state, Date.now);
  const stop = () => {
    tracker.stop();
    state.close();
  };
  onTestFinished(() => {
    stop();
    vi.useRealTimers();
  });
  return { state, tracker, stop, folder };
}

test('a machine that stops reporting is silent once, until it reports', () => {
  const { state, tracker } = follow();
  for (const e of wholeBoot(0, 'a')) state.events.append(e);
  vi.advanceTimersByTime(49_000);
  expect(tracker.machines().get(mac(1))?.run.silent).toBe(false);
  vi.advanceTimersByTime(60_000);
  expect(tracker.machines().get(mac(1))?.run.silent).toBe(true);
  const silences = state.events.list().filter((e) => e.event.kind === 'silent');
  expect(silences).toHaveLength(1);
  state.events.append(report(110, 'a', 'alive'));
  expect(tracker.machines().get(mac(1))?.run).toMatchObject({ silent: false, stage: 'ready' });
});

test('a machine that dies after the clock was set back falls silent all the same', () => {
  const { state, tracker } = follow();
  for (const e of wholeBoot(0, 'a')) state.events.append(e);
  vi.advanceTimersByTime(21_000);
  // A clock of the board that keeps the time of the place, until the time servers are heard.
  vi.setSystemTime(start - 9 * 3_600_000);
  vi.advanceTimersByTime(8000);
  expect(tracker.machines().get(mac(1))?.run.silent).toBe(false);
  state.events.append({ ...report(0, 'a', 'alive'), at: Date.now() });
  vi.advanceTimersByTime(28_000);
  expect(tracker.machines().get(mac(1))?.run.silent).toBe(false);
  vi.advanceTimersByTime(5000);
  expect(tracker.machines().get(mac(1))?.run.silent).toBe(true);
});

test('a machine that died before the clock was set back is silent soon after', () => {
  const { state, tracker } = follow();
  for (const e of wholeBoot(0, 'a')) state.events.append(e);
  vi.advanceTimersByTime(25_000);
  vi.setSystemTime(start - 9 * 3_600_000);
  vi.advanceTimersByTime(28_000);
  expect(tracker.machines().get(mac(1))?.run.silent).toBe(false);
  vi.advanceTimersByTime(6000);
  expect(tracker.machines().get(mac(1))?.run.silent).toBe(true);
});

test('a clock that is set on by hours makes nobody silent who reports', () => {
  const { state, tracker } = follow();
  for (const e of wholeBoot(0, 'a')) state.events.append(e);
  vi.advanceTimersByTime(21_000);
  vi.setSystemTime(start + 9 * 3_600_000);
  vi.advanceTimersByTime(8000);
  expect(tracker.machines().get(mac(1))?.run.silent).toBe(false);
  vi.advanceTimersByTime(30_000);
  expect(tracker.machines().get(mac(1))?.run.silent).toBe(true);
});

test('a clock that is set by less than a second makes nobody silent', () => {
  const { state, tracker } = follow();
  for (const e of wholeBoot(-600, 'a')) state.events.append(e);
  vi.advanceTimersByTime(60_000);
  state.events.append(report(60, 'a', 'alive'));
  vi.setSystemTime(Date.now() - 900);
  vi.advanceTimersByTime(20_000);
  expect(tracker.machines().get(mac(1))?.run.silent).toBe(false);
});

test('the end of a silence outlives a restart, though alive is not kept', () => {
  const first = follow();
  for (const e of wholeBoot(0, 'a')) first.state.events.append(e);
  vi.advanceTimersByTime(60_000);
  first.state.events.append(report(61, 'a', 'alive'));
  first.stop();
  const { tracker } = follow(first.folder, start + 62_000);
  expect(tracker.machines().get(mac(1))?.run).toMatchObject({
    silent: false,
    stage: 'ready',
    since: start + 20_000,
  });
});

test('what a machine is made of outlives the log, for as long as its boot is kept', async () => {
  const first = follow();
  const blob = { digest: digestOf('blob'), size: 10 };
  const set = createBootSet({
    ...{ node: 'web1', roles: ['web'], image: digestOf('image'), arguments: [] },
    ...{ kernel: blob, initramfs: blob, root: [blob], overlay: blob },
  });
  await first.state.boots.record({
    ...{ bootId: 'a', machine: mac(1), node: 'web1', set, token: 'a' },
    ...{ createdAt: start, address: address(21) },
  });
  first.state.boots.reported('a', 'ready', start);
  first.state.boots.noteHardware('a', hardware);
  first.stop();
  const { tracker } = follow(first.folder, start + 40 * 86_400_000);
  expect(tracker.machines().get(mac(1))).toMatchObject({ hardware, run: { stage: 'ready' } });
});

test('a subscriber of the log finds the event already folded', () => {
  const { state, tracker } = follow();
  const seen: (string | undefined)[] = [];
  state.events.subscribe((e) => seen.push(tracker.machines().get(e.machine)?.run.stage));
  for (const e of wholeBoot(0, 'a')) state.events.append(e);
  expect(seen).toEqual(['dhcp', 'loader', 'script', 'kernel', 'root', 'overlay', 'ready']);
});
