import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadSite } from '../../../src/site/load-site.ts';
import { runProgram } from '../../../src/system/run-program.ts';
import { nodeYaml, siteYaml } from './a-site.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rolecall-site-'));
  await mkdir(join(dir, 'site/nodes'), { recursive: true });
  await writeFile(join(dir, 'site/site.yaml'), siteYaml());
  await writeFile(join(dir, 'site/nodes/web1.yaml'), nodeYaml(11));
});
afterEach(async () => await rm(dir, { recursive: true }));

async function messages(edited?: ReadonlyMap<string, string>): Promise<readonly string[]> {
  const result = await loadSite(join(dir, 'site'), edited);
  return result.ok ? [] : result.problems.map((p) => `${p.file}: ${p.message}`);
}

test('reads the example site', async () => {
  const result = await loadSite(join(import.meta.dirname, '../../../examples/lab'));
  expect(result.ok && [...result.value.nodes.keys()]).toEqual([
    ...['lb1', 'lb2', 'mail1', 'nfs1', 'nfs2', 'web1', 'web2'],
  ]);
});

test('a folder that is not there, and a file in its place: one problem, and what to type', async () => {
  for (const path of ['nowhere', 'site/site.yaml']) {
    const result = await loadSite(join(dir, path));
    expect(result).toMatchObject({ ok: false, problems: [{ file: '', line: 0 }] });
    expect(!result.ok && result.problems.map((p) => [p.message, p.hint])).toEqual([
      [
        `${join(dir, path)} is no folder`,
        'rolecall init makes a site; --site DIR names another folder',
      ],
    ]);
  }
});

test('a file where the role files should be is not a site without nodes', async () => {
  await rm(join(dir, 'site/nodes'), { recursive: true });
  await writeFile(join(dir, 'site/nodes'), '');
  expect(await messages()).toEqual(['nodes: nodes is no folder']);
});

test('what cannot be read says why, and what to do', async () => {
  await symlink('web2.yaml', join(dir, 'site/nodes/web2.yaml'));
  await writeFile(join(dir, 'site/nodes/web3.yaml'), Buffer.alloc(17 * 1024 * 1024, '#'));
  await runProgram('mkfifo', [join(dir, 'site/nodes/web4.yaml')]);
  const result = await loadSite(join(dir, 'site'));
  const said = result.ok ? [] : result.problems.map((p) => `${p.file}: ${p.message} | ${p.hint}`);
  expect(said).toEqual([
    'nodes/web2.yaml: it cannot be read: too many symbolic links encountered (ELOOP) | remove the link, or put the file itself there',
    'nodes/web3.yaml: the file has 17825792 bytes, and at most 16777216 are read | restore it, or take it away',
    'nodes/web4.yaml: nodes/web4.yaml is no file | put a file there, or take it away',
  ]);
});

test('a link that stays inside is followed, one that leads out is refused', async () => {
  await writeFile(join(dir, 'secret'), 'password: hunter2\n');
  await mkdir(join(dir, 'site/shared'));
  await writeFile(join(dir, 'site/shared/web2.yaml'), nodeYaml(12));
  await symlink('../shared/web2.yaml', join(dir, 'site/nodes/web2.yaml'));
  expect(await messages()).toEqual([]);
  await symlink('../../secret', join(dir, 'site/nodes/web3.yaml'));
  await symlink(join(dir, 'nothing'), join(dir, 'site/nodes/web4.yaml'));
  const said = await messages();
  expect(said).toEqual([
    'nodes/web3.yaml: nodes/web3.yaml leads out of the folder',
    'nodes/web4.yaml: the file is a link to nothing',
  ]);
  expect(said.join()).not.toContain('hunter2');
});

test('a folder of role files that is a link out of the site', async () => {
  await rm(join(dir, 'site/nodes'), { recursive: true });
  await mkdir(join(dir, 'elsewhere'));
  await writeFile(join(dir, 'elsewhere/web1.yaml'), nodeYaml(11));
  await symlink('../elsewhere', join(dir, 'site/nodes'));
  expect(await messages()).toEqual(['nodes: nodes leads out of the folder']);
});

test('bytes that are no text, and a pipe that would never end', async () => {
  await writeFile(join(dir, 'site/nodes/web2.yaml'), Buffer.from([0x72, 0xff, 0xfe, 0x0a]));
  await runProgram('mkfifo', [join(dir, 'site/nodes/web3.yaml')]);
  expect(await messages()).toEqual([
    'nodes/web2.yaml: the file is not UTF-8 text',
    'nodes/web3.yaml: nodes/web3.yaml is no file',
  ]);
});

test('a text that is not written yet stands for its file', async () => {
  expect(await messages(new Map([['nodes/web1.yaml', 'role: [\n']]))).toHaveLength(1);
  await writeFile(join(dir, 'site/nodes/web1.yaml'), 'role: [\n');
  expect(await messages(new Map([['nodes/web1.yaml', nodeYaml(11)]]))).toEqual([]);
});
