import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createScratchNode, type ScratchNode, wanted } from './scratch-node.ts';

let node: ScratchNode;

beforeEach(async () => {
  node = await createScratchNode();
});

afterEach(() => node.remove());

const before = ['./app.conf:as booted', 'app.conf'].join('\n');

test('new files are in force before the units act, and nothing is left beside them', async () => {
  await node.want({ 'app.conf': 'new\n', added: 'x\n' }, { act: ['reload app.service'] });
  expect(await node.run('follow; state')).toBe(
    ['./added:x', './app.conf:new', 'added', 'app.conf', wanted].join('\n'),
  );
  expect(await node.acted()).toEqual(['reload-or-restart app.service: new']);
  expect(node.reports).toMatchObject([{ stage: 'followed', set: wanted }]);
});

test("what the site takes away is the image's own again", async () => {
  await node.want({}, { remove: ['app.conf', 'deep/er/note'] });
  expect(await node.run('mkdir -p $etc/deep/er; echo z >$etc/deep/er/note; follow; state')).toBe(
    ['./app.conf:as in the image', 'app.conf', wanted].join('\n'),
  );
});

describe('what a unit refuses', () => {
  test('is not in force any more', async () => {
    await node.want({ 'app.conf': 'new\n', added: 'x\n' }, { act: ['reload app.service'] });
    const refuses = 'grep -q booted node/etc/app.conf || { echo "line 1"; exit 1; }';
    expect(await node.run('follow; state', refuses)).toBe(before);
    expect(await node.acted()).toEqual([
      'reload-or-restart app.service: new',
      'reload-or-restart app.service: as booted',
    ]);
    const reason = 'reload app.service: line 1; the files that were there are back';
    expect(node.reports).toMatchObject([{ stage: 'follow-failed', set: wanted, reason }]);
  });

  test('is not in force any more where its log has filled the disk', async () => {
    await node.want({ 'app.conf': 'new\n' }, { act: ['reload app.service'] });
    const refuses = `[ -e node/fill ] || dd if=/dev/zero of=node/fill bs=4k 2>/dev/null
      grep -q booted node/etc/app.conf || { echo "line 1"; exit 1; }`;
    expect(await node.run('follow; state', refuses)).toBe(before);
    const reason = 'reload app.service: line 1; the files that were there are back';
    expect(node.reports).toMatchObject([{ stage: 'follow-failed', set: wanted, reason }]);
  });
});

describe('an agent that is ended', () => {
  const kill = 'grep -q booted node/etc/app.conf || kill -KILL $(cat agent.pid)';

  test('leaves the node as it was, and the server is told', async () => {
    await node.want(
      { 'app.conf': 'new\n', added: 'x\n' },
      { remove: ['gone'], act: ['reload app.service'] },
    );
    expect(await node.run('echo y >$etc/gone; follow; state', kill)).toBe(
      ['./app.conf:as booted', './gone:y', 'app.conf', 'gone'].join('\n'),
    );
    expect(await node.acted()).toEqual([
      'reload-or-restart app.service: new',
      'reload-or-restart app.service: as booted',
    ]);
    expect(node.reports).toMatchObject([
      {
        stage: 'follow-failed',
        set: wanted,
        reason: 'the agent was ended (signal); the files that were there are back',
      },
    ]);
  });
});

describe('what can be fetched and not be used is told', () => {
  test('where there is no room for it', async () => {
    await node.want({ 'app.conf': 'new\n' });
    expect(await node.run('full=yes; follow; state')).toBe(before);
    expect(node.reports).toMatchObject([{ stage: 'follow-failed', set: wanted }]);
    expect(reasons(node)[0]).toMatch(/^cannot write to .*rolecall-agent, is it full\?/);
  });

  test('where it is something else than was promised', async () => {
    await node.want({ 'app.conf': 'new\n' });
    node.answers.tar = node.answers.tar.map((byte) => byte ^ 1);
    expect(await node.run('follow; state')).toBe(before);
    expect(node.reports).toMatchObject([{ stage: 'follow-failed', set: wanted }]);
    expect(reasons(node)[0]).toMatch(/^the overlay [0-9a-f]{64} came with the SHA-256 /);
  });

  test('a set that is not wanted any more is no failure', async () => {
    expect(await node.run('follow; state')).toBe(before);
    expect(node.reports).toEqual([]);
  });

  test('where not even its name can be kept', async () => {
    node.answers.report = `action=follow set=${wanted}`;
    await node.run('full=yes; report follow-failed');
    const told = node.reports.find(({ stage }) => stage === 'follow-failed');
    expect(told).toMatchObject({ set: wanted, reason: expect.stringContaining('is it full?') });
  });
});

function reasons({ reports }: ScratchNode): readonly string[] {
  return reports.flatMap((report) => ('reason' in report ? report.reason : []));
}
