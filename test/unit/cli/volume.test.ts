import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { register, renderVolumes } from '../../../src/cli/volume.ts';
import type { VolumeStatus } from '../../../src/http/volume-status.ts';
import { aReport } from '../volumes/a-report.ts';
import { runCommands } from './run-rolecall.ts';

const notUp = { role: '', peerRole: '', connection: '', disk: '', peerDisk: '' };
const survey = { state: 'blank', bytes: 1e9, model: 'QEMU mail', found: '' } as const;
const unseen = aReport(notUp);
const blank = aReport({ ...notUp, survey });

function mail(
  reports: readonly ReturnType<typeof aReport>[],
  rest: Partial<VolumeStatus> = {},
): VolumeStatus {
  return {
    ...{ name: 'mail', leader: '', device: '/dev/vdb', at: '/srv/mail', vip: ['10.77.0.111'] },
    nodes: reports.map((report, i) => ({
      ...{ name: `nfs${i + 1}`, heard: '2026-01-31T03:00:00.000Z', outdated: false, report },
    })),
    ...rest,
  };
}

const running = (step: string) =>
  ({ order: { id: 'a1', state: 'running', why: '', step } }) as const;
const done = { order: { id: 'a1', state: 'done', why: '', step: '' } } as const;

let state: string;
let server: Server;
/** What the server answers, one after the other; the last one again and again. */
let answers: VolumeStatus[] = [];
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'rolecall-volume-'));
  server = createServer((request, response) => {
    const next = answers.length > 1 ? answers.shift() : answers[0];
    response.end(JSON.stringify(request.method === 'POST' ? { order: 'a1' } : [next]));
  });
  await new Promise<void>((resolve) => server.listen(join(state, 'admin.sock'), resolve));
});
afterEach(async () => {
  server.close();
  await rm(state, { recursive: true });
});

test('volume create waits for the look at a disk, and tells each step', async () => {
  answers = [
    ...[mail([blank, unseen]), mail([blank, blank])],
    // Taken by the order itself.
    mail([blank, blank]),
    ...['metadata is written on nfs2', 'nfs1 makes the file system'].map((step) =>
      mail([blank, blank], running(step)),
    ),
    mail([blank, blank], done),
  ];
  const { out, err, code } = await runCommands(
    [register],
    '',
    ['volume', 'create', 'mail', '--yes'],
    state,
  );
  expect(err.split('\n')).toEqual([
    'waiting: nfs2: its disk was not looked at yet',
    'metadata is written on nfs2',
    'nfs1 makes the file system',
    '',
  ]);
  expect(out).toMatch(/volume mail is made; its clients mount it by themselves/);
  expect(code).toBe(0);
});

test('volume status says what is under way, and where a served volume is', () => {
  const rows = (volume: VolumeStatus) => renderVolumes([volume]).split('\n').slice(1);
  expect(rows(mail([unseen, blank]))).toEqual([
    expect.stringMatching(/its disk is being looked at$/),
    expect.stringMatching(/not made yet: rolecall volume create mail$/),
  ]);
  const absent = aReport({ ...notUp, survey: { ...survey, state: 'absent', bytes: 0, model: '' } });
  expect(rows(mail([absent, blank]))[0]).toMatch(/there is no such disk$/);
  expect(rows(mail([blank, blank], running('the two copies connect')))[0]).toMatch(
    /is being made: the two copies connect$/,
  );
  // Its lease may run out while both are connected: it serves all the same.
  expect(rows(mail([aReport({ serving: true }), aReport()]))).toEqual([
    expect.stringMatching(/serves .* 10\.77\.0\.111$/),
    expect.stringMatching(/Connected +-$/),
  ]);
});
