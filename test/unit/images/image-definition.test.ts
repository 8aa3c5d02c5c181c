import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  checkImageDefinitions,
  loadImageDefinition,
} from '../../../src/images/load-image-definition.ts';
import { parseImageDefinition } from '../../../src/images/parse-image-definition.ts';

const least = 'name: small\nsuite: trixie\nkernel: {amd64: linux-image-amd64}\ndate: 2025-08-09\n';
const world = {
  findParent: async () => ({ ok: false, problems: [] }) as const,
  exists: (path: string) => path !== 'images/gone',
};
const parse = (text: string) => parseImageDefinition(text, 'images/small.yaml', world);

describe('an image definition', () => {
  it('needs little', async () => {
    expect(await parse(least)).toMatchObject({
      ok: true,
      value: {
        ...{ name: 'small', rolePackages: true, packages: [], loaders: {}, variant: 'minbase' },
        ...{ compression: { type: 'zstd', level: 3 }, files: [], hooks: [], users: [] },
        ...{ hardware: { drivers: undefined, firmware: [] }, date: new Date('2025-08-09') },
      },
    });
  });

  it('is what the shipped one is', async () => {
    const file = join(import.meta.dirname, '../../../images/universal.yaml');
    const result = await parseImageDefinition(await readFile(file, 'utf8'), file, world);
    expect(result).toMatchObject({ ok: true, value: { name: 'universal', rolePackages: true } });
  });

  it('may say much', async () => {
    const text = `${least.replace('{amd64: linux-image-amd64}', 'cloud')}
sources: [{uri: 'https://packages.example/apt/', suite: trixie, components: [main, extra], key: keys/x.asc}]
users: [{name: deploy, uid: 1500, groups: [adm], shell: /bin/bash, home: /home/deploy}, {name: bot, system: true}]
files: [files/all, {from: files/motd, to: etc/motd, mode: 0640, owner: root:adm}]
hooks: [hooks/one, {run: hooks/two, network: true, secrets: [token]}]
hardware: {drivers: [network, storage], firmware: [network, cpu]}
locale: de_DE.UTF-8
compression: {type: zstd, level: 19}
`;
    const result = await parse(text);
    expect(result).toMatchObject({
      ok: true,
      value: {
        kernel: { amd64: 'linux-image-cloud-amd64', arm64: 'linux-image-cloud-arm64' },
        sources: [
          {
            ...{ uri: 'https://packages.example/apt', suite: 'trixie' },
            ...{ components: ['main', 'extra'], key: 'images/keys/x.asc' },
          },
        ],
        users: [
          { name: 'deploy', uid: 1500, groups: ['adm'], shell: '/bin/bash', home: '/home/deploy' },
          { name: 'bot', uid: undefined, shell: '/usr/sbin/nologin', system: true },
        ],
        files: [
          { from: 'images/files/all', to: '', mode: undefined, owner: 'root:root' },
          { from: 'images/files/motd', to: 'etc/motd', mode: 0o640, owner: 'root:adm' },
        ],
        hooks: [
          { run: 'images/hooks/one', network: false, secrets: [] },
          { run: 'images/hooks/two', network: true, secrets: ['token'] },
        ],
        hardware: { drivers: ['network', 'storage'], firmware: ['network', 'cpu'] },
        locale: 'de_DE.UTF-8',
        compression: { type: 'zstd', level: 19 },
      },
    });
  });

  const wrong: [
    string,
    string,
    { line: number; path: string; message: RegExp; hint?: RegExp }[],
  ][] = [
    [
      'an unknown key',
      `${least}packges: []\n`,
      [{ line: 5, path: 'packges', message: /packges/, hint: /did you mean packages\?/ }],
    ],
    [
      'every wrong value at once',
      `${least}packages:\n  - udev\n  - Bad Name\nprune:\n  paths: [/etc]\n`,
      [
        { line: 7, path: 'packages.1', message: /package name/ },
        { line: 9, path: 'prune.paths.0', message: /below the root/ },
      ],
    ],
    [
      'a path that leads out',
      `${least}prune: {paths: [usr/../../etc]}\nhooks: [../x, /bin/sh]\n`,
      [
        { line: 5, path: 'prune.paths.0', message: /below the root/, hint: /without \.\./ },
        { line: 6, path: 'hooks.0', message: /leads out/ },
        { line: 6, path: 'hooks.1', message: /leads out/ },
      ],
    ],
    ['no YAML', `${least}packages: [udev\n`, [{ line: 6, path: '', message: /not valid YAML/i }]],
    [
      'a missing key',
      'name: small\nkernel: {amd64: x86}\ndate: 2025-08-09\n',
      [{ line: 1, path: '', message: /suite is missing/ }],
    ],
    [
      'words that are near another',
      `${least}hardware: {drivers: [netwrk], firmware: [cpu]}\ncompression: {type: zst}\n`,
      [
        { line: 5, path: 'hardware.drivers.0', message: /netwrk/, hint: /mean network\?/ },
        { line: 6, path: 'compression.type', message: /zst/, hint: /mean zstd\?/ },
      ],
    ],
    [
      'a level that the type has not',
      `${least}compression: {type: lz4, level: 3}\n`,
      [{ line: 5, path: 'compression.level', message: /lz4 has no level/ }],
    ],
    [
      'a source without a key',
      `${least}sources:\n  - {uri: https://packages.example, suite: trixie, components: [main]}\n`,
      [{ line: 6, path: 'sources.0', message: /key is missing/ }],
    ],
    [
      'a file that is not there',
      `${least}files: [here, {from: gone}]\n`,
      [{ line: 5, path: 'files.1.from', message: /gone is not there/ }],
    ],
    [
      'a mode, an owner, an account that are none',
      `${least}files:\n  - {from: a, to: b, mode: 999, owner: adm}\nusers: [{name: "Jo Do", uid: x}]\n`,
      [
        { line: 6, path: 'files.0.mode', message: /999 is no mode/ },
        { line: 6, path: 'files.0.owner', message: /adm is not user:group/ },
        { line: 7, path: 'users.0.uid', message: /no user id/ },
        { line: 7, path: 'users.0.name', message: /name of an account/ },
      ],
    ],
  ];
  it.each(wrong)('is refused for %s', async (_name, text, expected) => {
    const result = await parse(text);
    const problems = result.ok ? [] : result.problems;
    expect(problems).toMatchObject(
      expected.map(({ line, path, message, hint = /./ }) => ({
        ...{ file: 'images/small.yaml', line, path },
        ...{ message: expect.stringMatching(message), hint: expect.stringMatching(hint) },
      })),
    );
    expect(problems).toHaveLength(expected.length);
  });
});

describe('an image that extends another', () => {
  let site = '';
  beforeAll(async () => {
    site = await mkdtemp(join(tmpdir(), 'definitions-'));
    await mkdir(join(site, 'images'));
    const write = (name: string, text: string) =>
      writeFile(join(site, 'images', `${name}.yaml`), `name: ${name}\n${text}`);
    await write('edge', 'extends: universal\npackages: [haproxy]\nfiles: [files/edge]\n');
    await write('edge2', 'extends: edge\npackages: [vim]\n');
    await write('own-suite', 'extends: universal\nsuite: forky\npackages: [vim]\n');
    await write('a', 'extends: b\n');
    await write('b', 'extends: a\n');
    await mkdir(join(site, 'images/files/edge'), { recursive: true });
    await write('orphan', 'extends: univresal\n');
  });
  afterAll(() => rm(site, { recursive: true }));
  const problemsOf = async (name: string) => {
    const result = await loadImageDefinition(site, name);
    return result.ok ? [] : result.problems.map(({ file, line, message }) => [file, line, message]);
  };

  it('has what its parent says and brings what is its own', async () => {
    const result = await loadImageDefinition(site, 'edge2');
    expect(result).toMatchObject({
      ok: true,
      value: {
        ...{ name: 'edge2', suite: 'trixie', packages: ['vim'], rolePackages: false, files: [] },
        parent: {
          ...{ name: 'edge', packages: ['haproxy'] },
          parent: { name: 'universal', rolePackages: true },
        },
      },
    });
  });

  it('says nothing that its parent decides', async () => {
    expect(await problemsOf('own-suite')).toEqual([
      [
        join(site, 'images/own-suite.yaml'),
        3,
        expect.stringContaining('suite is what universal says'),
      ],
    ]);
  });

  it('extends one that is there, and not itself', async () => {
    expect(await problemsOf('a')).toContainEqual([
      ...[join(site, 'images/a.yaml'), 1, 'a extends b extends a: that has no end'],
    ]);
    expect(await problemsOf('orphan')).toEqual([
      [join(site, 'images/univresal.yaml'), 0, 'there is no image univresal'],
      [join(site, 'images/orphan.yaml'), 2, expect.stringContaining('univresal')],
    ]);
  });

  it('is looked at with all of the site’s definitions, each problem once', async () => {
    const all = (await checkImageDefinitions(site)).map(({ message }) => message);
    expect(all).toContain('there is no image univresal');
    expect(all.filter((message) => message.includes('suite is what'))).toHaveLength(1);
    expect(new Set(all).size).toBe(all.length);
  });
});
