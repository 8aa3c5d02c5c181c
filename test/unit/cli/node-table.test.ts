import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { register, renderNode, renderNodes } from '../../../src/cli/node.ts';
import { sampleNode, sampleNow, sampleSpare } from '../http/sample-nodes.ts';
import { runCommands } from './run-rolecall.ts';

test('node ls: one line each, the reason last', () => {
  const nodes = [
    sampleNode('web1', 21, 'ready'),
    sampleNode('web2', 22, 'failed', { reason: 'web: answers 502' }),
    sampleNode('web3', 23, 'absent'),
  ];
  const [header, ...rows] = renderNodes(nodes, sampleNow).split('\n');
  expect(header).toMatch(/^NAME +ROLE +STAGE +SINCE +ADDRESS +MAC +BOOT SET +REASON$/);
  expect(rows[0]).toMatch(/^web1 +web +ready +21 min +10\.77\.0\.21 +52:54:00:00:00:15 +\w{12}$/);
  expect(rows[1]).toMatch(/ failed .* web: answers 502$/);
  expect(rows[2]).toMatch(/^web3 +web +absent +- /);
});

test('node ls of nothing says so', () => {
  expect(renderNodes([], sampleNow)).toBe('no role file yet, and no machine has asked');
});

test('node show: the boot step by step, then the hardware', () => {
  const text = renderNode(sampleSpare(51), sampleNow);
  expect(text).toMatch(/^name +spare-525400000033$/m);
  expect(text).toMatch(/^ {2}dhcp +[\d:.]+ {2}\+0\.0 s\n {2}loader +[\d:.]+ {2}\+1\.2 s$/m);
  expect(text).toMatch(/^ {2}ready +[\d:.]+ {2}\+20\.5 s$/m);
  expect(text).toMatch(/^disk +nvme0n1 960\.2 GB SAMSUNG/m);
  expect(text).toMatch(/^nic +eno1 52:54:00:00:00:33 ixgbe$/m);
});

test('node show says what a node becomes', () => {
  const node = sampleNode('web1', 21, 'ready', { nextRole: ['mail'], reason: 'becomes mail' });
  expect(renderNode(node, sampleNow)).toMatch(/^next role +mail$/m);
});

test('node show --json: one array, as everything that prints a table', async () => {
  const state = await mkdtemp(join(tmpdir(), 'rolecall-node-'));
  const server = createServer((_, response) => response.end(JSON.stringify(sampleSpare(51))));
  await new Promise<void>((resolve) => server.listen(join(state, 'admin.sock'), resolve));
  try {
    const { out, code } = await runCommands([register], '', ['node', 'show', 'x', '--json'], state);
    expect(JSON.parse(out)).toMatchObject([{ name: sampleSpare(51).name }]);
    expect(code).toBe(0);
  } finally {
    server.close();
    await rm(state, { recursive: true });
  }
});
