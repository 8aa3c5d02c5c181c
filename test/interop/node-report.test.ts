import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createScratchNode, type ScratchNode } from './scratch-node.ts';

let node: ScratchNode;

beforeEach(async () => {
  node = await createScratchNode();
});

afterEach(() => node.remove());

async function ready(role: string, lines: string): Promise<void> {
  await writeFile(join(node.dir, 'ready.d', role), `#!/bin/sh\n${lines}\n`, { mode: 0o755 });
}

const said = (stage: string) =>
  node.reports.flatMap((report) =>
    report.stage === stage && 'reason' in report ? [report.reason] : [],
  );

test('a role that fails is told with the last line of what it said', async () => {
  await ready('base', 'echo fine');
  await ready('web', 'echo first; echo the last; exit 3');
  await ready('mail', 'exit 4');
  await node.run('report failed');
  expect(said('failed')).toEqual(['mail: its ready command ended with 4; web: the last']);
});

describe('where /run is full', () => {
  test('that is told', async () => {
    await ready('base', 'exit 0');
    await node.run('full=yes; report "run is 100 % full"');
    expect(said('ready')).toEqual(['']);
    expect(said('warning')[0]).toContain(`${node.dir}/run is 100 % full`);
  });

  test('and once more when it is over', async () => {
    await ready('base', 'exit 0');
    await node.run(`full=yes; {
      until grep -q "run is 100 % full" heard; do sleep 0.1; done
      rm run/fill
      until grep '"warning"' heard | tail -n 1 | grep -qv "/run is"; do sleep 0.1; done
      echo over >>heard
    } & report over`);
    // Of this machine something else may be full.
    expect(said('warning').map((all) => all.includes(`${node.dir}/run is`))).toEqual([true, false]);
  });

  test('a role that fails is told with the code of its command, and what may be why', async () => {
    await ready('base', 'exit 0');
    await ready('web', 'set -e; echo first; exit 3');
    await ready('mail', 'exit 137');
    await node.run('full=yes; report failed');
    expect(said('failed')).toEqual([
      `mail: no answer within 15 seconds; web: its ready command ended with 1, and ${node.dir}/run/rolecall-report is full`,
    ]);
  });

  test('a role of which nothing can be kept is not ready', async () => {
    await ready('web', 'exit 3');
    // No room for a further file, whatever its size.
    await node.run(`mkdir run/rolecall-report; mount -t tmpfs -o nr_inodes=1 t run/rolecall-report
      report '"stage":"\\(ready\\|failed\\)"'`);
    expect(said('ready')).toEqual([]);
    expect(said('failed')[0]).toMatch(/^web: /);
  });
});
