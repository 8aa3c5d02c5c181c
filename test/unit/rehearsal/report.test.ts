import { describe, expect, it } from 'vitest';
import {
  renderHtml,
  renderJunit,
  renderResult,
  renderSum,
} from '../../../src/rehearsal/render-report.ts';
import { renderTimeline } from '../../../src/rehearsal/render-timeline.ts';
import type { Rehearsal } from '../../../src/rehearsal/result.ts';
import { runProgram } from '../../../src/system/run-program.ts';

const start = Date.parse('2026-01-02T03:04:05Z');
const rehearsal: Rehearsal = {
  site: 'tokyo',
  title: 'Rehearsal of tokyo',
  start,
  end: start + 90_000,
  results: [
    { group: 'node', title: 'lb1 boots', outcome: 'passed', seconds: 41.25, detail: '' },
    {
      group: 'node',
      title: 'web1 boots',
      outcome: 'failed',
      seconds: 99,
      detail: 'web: "nginx" says <no> & \u001b[31mstops\u0007',
    },
    { group: 'loss', title: 'loss of web2', outcome: 'not tried', seconds: 0, detail: 'alone' },
  ],
  lanes: [
    {
      name: 'lb1 & co',
      spans: [
        { from: start, to: start + 40_000, state: 'root' },
        { from: start + 40_000, to: start + 90_000, state: 'ready' },
      ],
    },
  ],
  marks: [{ at: start + 50_000, text: 'lb1 is switched <off>' }],
  notes: ['consoles: the first serial port'],
};

/** What an XPath expression finds, by a parser of XML that we did not write. */
async function xpath(xml: string, path: string): Promise<string> {
  const code = `
import sys, xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.buffer.read())
for found in root.iterfind(sys.argv[1]):
    print(found.tag.split('}')[-1], sorted(found.attrib.items()), found.text or '')`;
  return (await runProgram('python3', ['-c', code, path], { input: xml })).stdout;
}

describe('the report of a rehearsal', () => {
  it('is a line for each proof on a terminal', () => {
    expect(rehearsal.results.map(renderResult)).toEqual([
      'passed      41.3 s  lb1 boots',
      'FAILED      99.0 s  web1 boots: web: "nginx" says <no> & \u001b[31mstops\u0007',
      'not tried           loss of web2: alone',
    ]);
    expect(renderSum(rehearsal.results)).toBe('1 passed, 1 failed, 1 not tried');
  });

  it('is JUnit XML: a suite for each group, with counts, failures and what was skipped', async () => {
    const xml = renderJunit(rehearsal);
    const suites = await xpath(xml, 'testsuite');
    expect(suites).toContain(
      "('errors', '0'), ('failures', '1'), ('name', 'node'), ('skipped', '0'), ('tests', '2'), ('time', '140.250')",
    );
    expect(suites).toContain("('name', 'loss'), ('skipped', '1'), ('tests', '1')");
    expect(await xpath(xml, './/failure')).toContain('web: "nginx" says <no> & [31mstops');
    expect(await xpath(xml, './/skipped')).toContain("('message', 'alone')");
  });

  it('has a timeline that is well-formed SVG, with every stretch, deed and name', async () => {
    const svg = renderTimeline(rehearsal);
    const all = await xpath(svg, './/');
    expect(all).toContain('lb1 & co: ready for 50.0 s');
    expect(all).toContain('1  50.0 s  lb1 is switched <off>');
    // From 40 s to 90 s of 90 s on 1000 pixels that begin at 220.
    expect(await xpath(svg, './/{http://www.w3.org/2000/svg}rect')).toContain(
      "('width', '555.6'), ('x', '664.4')",
    );
  });

  it('is a page that loads nothing', () => {
    const html = renderHtml(rehearsal);
    expect(html).toContain('web: &quot;nginx&quot; says &lt;no&gt; &amp; [31mstops');
    expect(html).toContain('<svg ');
    expect(html).toContain('consoles: the first serial port');
    expect(html).not.toMatch(/<script|<link|src=|href=/);
  });
});
