import { expect, test } from 'vitest';
import { renderStatus } from '../../../src/cli/status.ts';
import type { VolumeStatus } from '../../../src/http/volume-status.ts';
import { sampleNode, sampleNow, sampleVolumes } from '../http/sample-nodes.ts';

const health = {
  status: 'ok',
  ...{ version: '0.1.0', site: 'tokyo', generation: 7, startedAt: '', problem: '' },
  state: { writable: true, since: '', problem: '', hint: '' },
} as const;
const ready = [sampleNode('web1', 21, 'ready'), sampleNode('web2', 22, 'ready')];
const [behind] = sampleVolumes;
const whole = {
  ...behind,
  nodes: behind?.nodes.map((node, i) => ({
    ...{ name: node.name, heard: node.heard, outdated: false },
    report: {
      ...node.report,
      ...{ connection: 'Connected', disk: 'UpToDate', peerDisk: 'UpToDate', serving: i === 0 },
    },
  })),
} as VolumeStatus;
const render = (nodes: typeof ready, volumes: readonly VolumeStatus[]) =>
  renderStatus({ health, nodes, volumes }, sampleNow);

test('where all is well it is one line', () => {
  expect(render(ready, [])).toBe('tokyo: 2 of 2 machines ready; generation 7 of the site');
  expect(render(ready, [whole])).toBe(
    'tokyo: 2 of 2 machines ready, 1 of 1 volume whole; generation 7 of the site',
  );
});

test('else it names who is not ready and why, and whom to ask about first', () => {
  const dead = sampleNode('mail1', 23, 'silent', { reason: 'no report since; it was ready' });
  const lines = render([...ready, dead], [whole]).split('\n');
  expect(lines[0]).toMatch(/^tokyo: 2 of 3 machines ready/);
  expect(lines.slice(1, 4)).toEqual([
    '',
    expect.stringMatching(/^NAME +ROLE +STAGE +SINCE +ADDRESS +WHY$/),
    expect.stringMatching(/^mail1 +web +silent +.* no report since; it was ready$/),
  ]);
  expect(lines.at(-1)).toBe('rolecall explain mail1 has more');
});

test('a ready node that waits for something is named too', () => {
  const waits = sampleNode('lb1', 24, 'ready', { reason: 'waits to follow: lb2 goes first' });
  expect(render([...ready, waits], [])).toContain('waits to follow: lb2 goes first');
});

test('a volume that is not whole, or that nobody serves, is shown with both copies', () => {
  const text = render(ready, sampleVolumes);
  expect(text).toContain('0 of 1 volume whole');
  expect(text).toMatch(/^www +nfs2 +waits +Inconsistent +SyncTarget/m);
  const unserved = {
    ...whole,
    nodes: whole.nodes.map((n) => ({ ...n, report: n.report && { ...n.report, serving: false } })),
  } as VolumeStatus;
  expect(render(ready, [unserved])).toContain('0 of 1 volume whole');
});

test('what is wrong with the server stands above the machines', () => {
  const problem = 'the site on disk has problems';
  const text = renderStatus(
    { health: { ...health, status: 'degraded', problem }, nodes: ready, volumes: [] },
    sampleNow,
  );
  expect(text.split('\n')[1]).toBe(`server: ${problem}`);
});
