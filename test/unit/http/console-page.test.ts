import { describe, expect, test } from 'vitest';
import {
  type ConsoleLook,
  describeAge,
  describePage,
  openConsole,
} from '../../../src/http/console-page.ts';
import type { NodeDetail } from '../../../src/state/node-status.ts';
import { sampleNode, sampleNow, sampleService, sampleSpare } from './sample-nodes.ts';

function look(
  nodes: readonly NodeDetail[],
  problem?: ConsoleLook['problem'],
  trouble?: ConsoleLook['trouble'],
): ConsoleLook {
  return { facts: sampleService().service.facts(), nodes, problem, trouble, now: sampleNow };
}

test('a state folder that takes nothing is the first thing on the page', () => {
  const trouble = { since: sampleNow - 90_000, message: '/x is full', hint: 'df -h <b>' };
  const html = openConsole().live(look([], undefined, trouble));
  expect(html).toContain('The state folder takes nothing, for 1 min');
  expect(html).toContain('/x is full. No machine is given an address of a pool');
  expect(html).toContain('→ df -h &lt;b&gt;');
  expect(openConsole().live(look([]))).not.toContain('state folder');
});

function bar(node: NodeDetail): string {
  return (
    describePage(look([node]))
      .nodes[0]?.bar.map((s) => s.state)
      .join(' ') ?? ''
  );
}

test.each([
  ['absent', 'ahead ahead ahead ahead ahead ahead ahead'],
  ['dhcp', 'now ahead ahead ahead ahead ahead ahead'],
  ['root', 'done done done done now ahead ahead'],
  ['ready', 'done done done done done done done'],
  ['failed', 'done done done done done done failed'],
  ['silent', 'done done done done done done stopped'],
] as const)('the bar of a node that is %s', (stage, states) => {
  expect(bar(sampleNode('web1', 21, stage))).toBe(states);
});

test('a node that failed while it booted shows where', () => {
  const { steps } = sampleNode('web1', 21, 'kernel');
  const node = sampleNode('web1', 21, 'failed', { reached: 'kernel', steps });
  expect(bar(node)).toBe('done done done done failed ahead ahead');
});

test('a node silent on its way shows where', () => {
  expect(bar(sampleNode('web1', 21, 'silent', { reached: 'script' }))).toBe(
    'done done stopped ahead ahead ahead ahead',
  );
});

test('counts lead to the first node of their kind, the worst first', () => {
  const page = describePage(
    look([
      sampleNode('web10', 30, 'ready'),
      sampleNode('web2', 22, 'ready'),
      sampleNode('web3', 23, 'kernel'),
      sampleNode('web4', 24, 'failed'),
    ]),
  );
  expect(page.counts).toEqual([
    { tone: 'failed', count: 1, first: 'node-web4' },
    { tone: 'booting', count: 1, first: 'node-web3' },
    { tone: 'ready', count: 2, first: 'node-web2' },
  ]);
  expect(page.nodes.map((n) => n.name)).toEqual(['web2', 'web3', 'web4', 'web10']);
});

test("a spare's command gives it the role that most nodes have", () => {
  const nodes = [
    sampleNode('lv1', 11, 'ready', { role: ['lb'] }),
    sampleNode('web1', 21, 'ready'),
    sampleNode('web2', 22, 'ready'),
    sampleSpare(51),
  ];
  expect(describePage(look(nodes)).spares[0]?.command).toBe(
    'rolecall node add --mac 52:54:00:00:00:33 --role web',
  );
});

test('the time of a boot is from the first question to ready', () => {
  expect(describePage(look([sampleNode('web1', 21, 'ready')])).nodes[0]?.bootTime).toBe('20.5 s');
  expect(describePage(look([sampleNode('web1', 21, 'root')])).nodes[0]?.bootTime).toBe('');
});

test.each([
  [-5000, '0 s'],
  [59_999, '59 s'],
  [60_000, '1 min'],
  [3_599_999, '59 min'],
  [3_600_000, '1 h'],
  [86_400_000, '1 d'],
])('an age of %i ms is %s', (milliseconds, text) => {
  expect(describeAge(milliseconds)).toBe(text);
});

describe('what machines and people wrote', () => {
  const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>`;
  const hardware = sampleSpare(51).hardware;
  const node = sampleNode('web1', 21, 'failed', {
    name: evil,
    role: [evil],
    nextRole: [evil],
    mac: [evil],
    address: evil,
    reason: evil,
    bootSet: evil,
    image: evil,
  });
  const spare = {
    ...node,
    spare: true,
    ...(hardware
      ? {
          hardware: {
            ...hardware,
            cpu: evil,
            serial: evil,
            product: evil,
            disks: [{ name: evil, bytes: 1, model: evil }],
            nics: [{ name: evil, mac: evil, driver: evil }],
          },
        }
      : {}),
  };
  const problem = {
    message: evil,
    problems: [{ file: evil, line: 1, path: evil, message: evil, hint: evil }],
  };

  test('never becomes markup', () => {
    const html = openConsole().page(look([node, spare], problem));
    expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(html).not.toContain('<script>alert');
    expect(html).not.toContain('<img');
    // Every attribute value that holds it ends at its own quote.
    expect(html).not.toMatch(/="[^"]*<script/);
    expect(html.match(/<script /g)).toHaveLength(1);
  });
});

test('a site without a role file says how to begin', () => {
  expect(openConsole().page(look([]))).toContain('rolecall node add --mac');
});

test('a site on disk that is not served is said before anything else', () => {
  const problem = {
    message: 'Two problems.',
    problems: [
      { file: 'nodes/web3.yaml', line: 4, path: 'role', message: 'no role "wbe"', hint: 'web?' },
    ],
  };
  const html = openConsole().live(look([sampleNode('web1', 21, 'ready')], problem));
  expect(html.indexOf('nodes/web3.yaml:4:role')).toBeGreaterThan(0);
  expect(html.indexOf('role="alert"')).toBeLessThan(html.indexOf('id="counts"'));
});
