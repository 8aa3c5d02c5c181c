import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Scenario } from '../../src/lab/scenario.ts';
import { setRole } from '../../src/site/edit-role-file.ts';
import { labScenario } from './harness/lab-under-test.ts';

// What to break of each role, how it shows, and how it is mended.
const breakages = [
  { node: 'web1', role: 'web', break: 'systemctl stop nginx', mend: 'systemctl start nginx' },
  { node: 'web1', role: 'base', break: 'systemctl stop ssh', mend: '' },
  { node: 'web2', role: 'mail', break: 'systemctl stop dovecot', mend: 'systemctl start dovecot' },
  {
    node: 'spare-525400770099',
    role: 'spare',
    break: 'rm /run/rolecall-report/hardware-sent',
    mend: '',
  },
] as const;

it('a node whose service breaks shows failed, and one that stops reporting shows silent', async () => {
  const options = { name: 'services', spares: 1, edit: makeMailServer };
  await labScenario(options, async (lab) => {
    const nodes = [...new Set(breakages.map(({ node }) => node))];
    await Promise.all(nodes.map((node) => lab.waitStage(node, 'ready')));
    for (const breakage of breakages) await breakAndMend(lab, breakage);

    await lab.lab.kill('web2');
    const silent = await lab.waitStage('web2', 'silent', { retry: false });
    expect(silent.role).toEqual(['mail']);
  });
});

async function makeMailServer(site: string): Promise<void> {
  const file = join(site, 'nodes/web2.yaml');
  await writeFile(file, setRole(await readFile(file, 'utf8'), ['mail']));
}

async function breakAndMend(lab: Scenario, breakage: (typeof breakages)[number]): Promise<void> {
  const { node, role, mend } = breakage;
  await lab.ssh(node, breakage.break);
  const failed = await lab.waitStage(node, 'failed', { retry: false, seconds: 90 });
  expect(failed.reason).toContain(`${role}: `);
  if (mend === '') return;
  await lab.ssh(node, mend);
  const mended = await lab.waitStage(node, 'ready', { retry: false, seconds: 90 });
  expect(mended.reason).toBe('');
}
