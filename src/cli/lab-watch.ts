import { setTimeout as sleep } from 'node:timers/promises';
import { type LabReport, readReport } from '../lab/control.ts';
import type { Lab } from '../lab/lab.ts';
import type { LabFolder } from '../lab/lab-folder.ts';
import { columns, isSettled, labRows, renderChanges, renderRow } from '../lab/lab-view.ts';
import { say } from './command.ts';
import { renderTable } from './table.ts';

/** Shows stages until all machines have arrived; undefined where the lab ended first. */
export async function watchArrivals(
  folder: LabFolder,
  isOver: () => boolean,
): Promise<LabReport | undefined> {
  const start = Date.now();
  let before: LabReport | undefined;
  let drawn = 0;
  let step = '';
  while (!isOver()) {
    const report = await readReport(folder.root).catch(() => undefined);
    if (report) {
      if (report.step !== step) {
        step = report.step;
        if (report.phase === 'starting') say(step);
      }
      if (process.stdout.isTTY) {
        drawn = redraw(report, drawn);
      } else {
        const seconds = ((Date.now() - start) / 1000).toFixed(1);
        for (const line of renderChanges(before, report)) say(`${seconds.padStart(6)} s  ${line}`);
      }
      before = report;
      if (isSettled(report)) return report;
    }
    await sleep(500);
  }
  return undefined;
}

/** Draws the table over the last one, no line wider than the terminal; gives back how many lines it has. */
function redraw(report: LabReport, drawn: number): number {
  const rows = labRows(report);
  if (rows.length === 0) return drawn;
  const text = renderTable(
    columns,
    rows.map((row) => renderRow(row, Date.now())),
  );
  const width = process.stdout.columns;
  const lines = text.split('\n').map((line) => line.slice(0, width));
  // Cursor up, then clear to the end of the screen: ECMA-48 CUU and ED.
  process.stdout.write(`${drawn > 0 ? `\x1b[${drawn}A\x1b[J` : ''}${lines.join('\n')}\n`);
  return lines.length;
}

/** Tells on standard error what stage machines come to, in seconds from `start`, until it is over. */
export async function tellStages(lab: Lab, start: number, over: AbortSignal): Promise<void> {
  let before: LabReport | undefined;
  for (; !over.aborted; await sleep(500)) {
    const rows = await lab.status().catch(() => undefined);
    if (!rows || over.aborted) continue;
    const { guests } = lab.plan;
    const off = guests.map(({ name }) => name).filter((name) => !lab.guest(name));
    const about = { phase: 'running', step: '', waiting: [], problem: '', ports: {} } as const;
    const now = { ...about, consoleUrl: lab.consoleUrl, guests, rows, off };
    const seconds = ((Date.now() - start) / 1000).toFixed(1);
    for (const line of renderChanges(before, now)) {
      process.stderr.write(`${seconds.padStart(6)} s  ${line}\n`);
    }
    before = now;
  }
}

/** Says what changes, until the lab is over. */
export async function watchChanges(
  folder: LabFolder,
  first: LabReport,
  isOver: () => boolean,
): Promise<void> {
  let before = first;
  let problem = '';
  while (!isOver()) {
    await sleep(500);
    const report = await readReport(folder.root).catch(() => undefined);
    if (!report) continue;
    for (const line of renderChanges(before, report)) say(line);
    if (report.problem !== problem) say(report.problem);
    [before, problem] = [report, report.problem];
  }
}
