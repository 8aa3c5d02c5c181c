import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renderHtml, renderJunit } from './render-report.ts';
import { renderTimeline } from './render-timeline.ts';
import type { Rehearsal } from './result.ts';

const pages = {
  'report.html': renderHtml,
  'timeline.svg': renderTimeline,
  'junit.xml': renderJunit,
} as const;

/** Where machines' consoles are kept in the folder. */
export const consolesOf = (folder: string) => join(folder, 'consoles');

/** Removes what an earlier run reported: where this one ends before its verdict, nobody may read that one's. */
export async function clearReport(folder: string): Promise<void> {
  for (const name of Object.keys(pages)) await rm(join(folder, name), { force: true });
}

/** Writes what people and CI systems read of a rehearsal into a folder. */
export async function writeReport(rehearsal: Rehearsal, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, render] of Object.entries(pages)) {
    await writeFile(join(folder, name), render(rehearsal));
  }
}
