import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import type { Scenario } from '../../src/lab/scenario.ts';
import type { Event } from '../../src/state/event.ts';
import { labScenario } from './harness/lab-under-test.ts';
import { until } from './harness/processes.ts';

const shippedWeb = resolve(import.meta.dirname, '../../roles/web');
const node = 'web1';

it('a running web server follows its site: content, configuration, deletions, and no broken one', async () => {
  const ownWeb = (site: string) => cp(shippedWeb, join(site, 'roles/web'), { recursive: true });
  await labScenario({ name: 'follow', only: [node], edit: ownWeb }, async (lab) => {
    await lab.waitStage(node, 'ready');
    const files = join(lab.site, 'roles/web/files');
    const config = join(files, 'etc/nginx/nginx.conf.ejs');
    const page = join(files, 'usr/share/rolecall/www/index.html.ejs');
    const good = await readFile(config, 'utf8');
    const booted = await bootIdOf(lab);
    expect(await lab.rolecall('plan')).toBe('1 node runs this site already');
    await planned(lab);
    const health = async () => (await lab.http(node, '/health')).body;

    // Content, configuration, a new file, and one that hides a file of the image.
    let asked = Date.now();
    await edit(page, (text) => text.replace('<h1>', '<p>the second edition</p>\n<h1>'));
    await writeFile(config, good.replace('"ok\\n"', '"ok, second edition\\n"'));
    await mkdir(join(files, 'usr/share/rolecall/www/deep'));
    await writeFile(join(files, 'usr/share/rolecall/www/deep/note.txt'), 'a note\n');
    await writeFile(join(files, 'etc/nginx/mime.types'), 'types { text/html html; }\n');
    await until('web1 follows', 60, async () => (await health()) === 'ok, second edition\n');
    process.stderr.write(`lab: ${node} follows an edit after ${sinceText(asked)} s\n`);
    await until('the server knows', 20, async () => (await last(lab))?.kind === 'followed');
    const { bootSet } = await lab.row(node);
    const second = await lab.http(node, '/');
    expect(second.body).toContain('the second edition');
    expect(second.body).toContain(bootSet);
    expect((await lab.http(node, '/deep/note.txt')).body).toBe('a note\n');
    expect(await lab.ssh(node, 'wc -l </etc/nginx/mime.types')).toBe('1');

    // nginx -t refuses it: nothing of it is on the node, and the server says why.
    await writeFile(config, good.replace('sendfile on', 'sendfile perhaps'));
    await until('the refusal is known', 60, async () =>
      (await lab.row(node)).reason.includes('-t'),
    );
    const refused = await lab.row(node);
    expect(refused).toMatchObject({ stage: 'ready', bootSet });
    expect(refused.reason).toContain('invalid value "perhaps" in "sendfile" directive');
    expect(refused.reason).toContain('undo its last edit');
    expect(await lab.ssh(node, 'grep -c perhaps /etc/nginx/nginx.conf || true')).toBe('0');
    expect(await health()).toBe('ok, second edition\n');

    // Undone, with what was added taken away: no file is left, and the image's own is back.
    asked = Date.now();
    await writeFile(config, good);
    await rm(join(files, 'usr/share/rolecall/www/deep'), { recursive: true });
    await rm(join(files, 'etc/nginx/mime.types'));
    await until('web1 follows back', 60, async () => (await health()) === 'ok\n');
    await until('the server knows', 20, async () => (await last(lab))?.kind === 'followed');
    process.stderr.write(`lab: ${node} follows the undoing after ${sinceText(asked)} s\n`);
    expect(await lab.ssh(node, 'ls -A /usr/share/rolecall/www')).toBe('index.html');
    expect(await lab.ssh(node, 'grep -c text/css /etc/nginx/mime.types')).toBe('1');
    expect(await lab.ssh(node, 'ls -A /etc/nginx | grep -c rolecall || true')).toBe('0');

    // A file that no rule names: the node stays as it is, and the console says what for.
    await mkdir(join(files, 'etc/other'));
    await writeFile(join(files, 'etc/other/file'), 'x\n');
    const said = 'needs a reboot: no reload rule names /etc/other/file (added)';
    await until('the reboot is due', 60, async () => (await lab.row(node)).reason.includes(said));
    expect(await lab.rolecall('node', 'ls')).toContain(said);

    expect(await bootIdOf(lab), 'the node never rebooted').toBe(booted);
    const scripts = (await lab.events(node)).filter((event) => event.kind === 'script-sent');
    expect(scripts).toHaveLength(1);
    expect((await lab.row(node)).stage).toBe('ready');
  });
});

/** What a copy of the site would change is said while the node goes on as it was. */
async function planned(lab: Scenario): Promise<void> {
  const copy = join(lab.lab.folder.root, 'copy');
  await cp(lab.site, copy, { recursive: true });
  const files = join(copy, 'roles/web/files');
  const plan = (...more: readonly string[]) => lab.rolecall('--site', copy, 'plan', ...more);

  await edit(join(files, 'etc/nginx/nginx.conf.ejs'), (text) => text.replace('ok\\n', 'fine\\n'));
  expect(await plan()).toMatch(/^web1 +reload +reload nginx.service \(1 file\)$/m);
  const lines = (await plan(node)).split('\n');
  expect(lines[0]).toBe('web1: reload (reload nginx.service (1 file))');
  expect(lines.filter((line) => /^[-+]/.test(line)).map((line) => line.split(/\s+/)[0])).toEqual([
    '---',
    '+++',
    '-',
    '+',
  ]);
  await writeFile(join(files, 'etc/other'), 'x\n');
  expect(await plan()).toMatch(/^web1 +reboot +no reload rule names \/etc\/other \(added\)$/m);
  expect(await plan(node)).toContain('--- /dev/null\n+++ site/etc/other\n@@ -0,0 +1 @@\n+x');
  await rm(copy, { recursive: true });
}

async function edit(file: string, change: (text: string) => string): Promise<void> {
  await writeFile(file, change(await readFile(file, 'utf8')));
}

function bootIdOf(lab: Scenario): Promise<string> {
  return lab.ssh(node, 'cat /proc/sys/kernel/random/boot_id');
}

/** The last that was heard of following. */
async function last(lab: Scenario): Promise<Event | undefined> {
  return (await lab.events(node)).findLast((event) => event.kind.startsWith('follow'));
}

function sinceText(start: number): string {
  return ((Date.now() - start) / 1000).toFixed(1);
}
