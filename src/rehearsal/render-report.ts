import { renderTimeline, text } from './render-timeline.ts';
import type { ProofResult, Rehearsal } from './result.ts';

/** `passed`, `FAILED` or `not tried`, what it was, and the figures: a line for a terminal. */
export function renderResult(result: ProofResult): string {
  const word = result.outcome === 'failed' ? 'FAILED' : result.outcome;
  const time = result.outcome === 'not tried' ? '' : `${result.seconds.toFixed(1)} s`;
  const detail = result.detail === '' ? '' : `: ${result.detail}`;
  return `${word.padEnd(9)} ${time.padStart(8)}  ${result.title}${detail}`;
}

/** `12 passed, 1 failed, 2 not tried`. */
export function renderSum(results: readonly ProofResult[]): string {
  return (['passed', 'failed', 'not tried'] as const)
    .map((outcome) => `${results.filter((r) => r.outcome === outcome).length} ${outcome}`)
    .join(', ');
}

/** The rehearsal as one HTML page with its timeline, without scripts and without anything from elsewhere. */
export function renderHtml(rehearsal: Rehearsal): string {
  const { results } = rehearsal;
  const rows = results.map((r) => {
    const time = r.outcome === 'not tried' ? '' : `${r.seconds.toFixed(1)} s`;
    const kind = r.outcome.replace(' ', '-');
    return `<tr class="${kind}"><td>${r.outcome}</td><td>${text(r.title)}</td><td>${time}</td><td>${text(r.detail)}</td></tr>`;
  });
  const title = `${rehearsal.title}: ${renderSum(results)}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${text(title)}</title>
<style>
body { font: 15px/1.4 sans-serif; margin: 2em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; }
td:nth-child(1), td:nth-child(3) { white-space: nowrap; }
td, th { text-align: left; vertical-align: top; padding: 0.2em 1em 0.2em 0; border-bottom: 1px solid #e3e3e8; }
.passed td:first-child { color: #2f7d3d; }
.failed td:first-child { color: #c43c39; font-weight: bold; }
.not-tried td { color: #777; }
</style>
</head>
<body>
<h1>${text(title)}</h1>
${renderTimeline(rehearsal)}
<table>
<tr><th>outcome</th><th>proof</th><th>time</th><th></th></tr>
${rows.join('\n')}
</table>
<ul>
${rehearsal.notes.map((note) => `<li>${text(note)}</li>`).join('\n')}
</ul>
</body>
</html>
`;
}

/** The results in the XML that CI systems read, as Ant's JUnit task writes it: a suite for each group. */
export function renderJunit(rehearsal: Rehearsal): string {
  const { results } = rehearsal;
  const count = (of: readonly ProofResult[], outcome: ProofResult['outcome']) =>
    of.filter((r) => r.outcome === outcome).length;
  const attributes = (of: readonly ProofResult[]) =>
    `tests="${of.length}" failures="${count(of, 'failed')}" errors="0" skipped="${count(of, 'not tried')}" time="${of.reduce((sum, r) => sum + r.seconds, 0).toFixed(3)}"`;
  const suites = [...new Set(results.map((r) => r.group))].map((group) => {
    const of = results.filter((r) => r.group === group);
    const cases = of.map((r) => {
      const open = `<testcase classname="${text(`${rehearsal.site}.${group}`)}" name="${text(r.title)}" time="${r.seconds.toFixed(3)}">`;
      const said = `message="${text(r.detail)}"`;
      if (r.outcome === 'failed') return `    ${open}<failure ${said}/></testcase>`;
      if (r.outcome === 'not tried') return `    ${open}<skipped ${said}/></testcase>`;
      return `    ${open}<system-out>${text(r.detail)}</system-out></testcase>`;
    });
    const when = new Date(rehearsal.start).toISOString().slice(0, 19);
    return `  <testsuite name="${text(group)}" ${attributes(of)} timestamp="${when}">\n${cases.join('\n')}\n  </testsuite>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="${text(rehearsal.title)}" ${attributes(results)}>
${suites.join('\n')}
</testsuites>
`;
}
