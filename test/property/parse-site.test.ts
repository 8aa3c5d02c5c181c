import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { cidrContains, parseCidr, parseIpv4 } from '../../src/net/ipv4.ts';
import { isBetween } from '../../src/site/address-claims.ts';
import { setRole } from '../../src/site/edit-role-file.ts';
import { parseSite } from '../../src/site/parse-site.ts';
import { renderNewSite } from '../../src/site/render-new-site.ts';
import type { Site } from '../../src/site/site.ts';
import { adminKey } from '../unit/site/a-site.ts';

/** The texts of a golden case. */
function textsOf(name: string): ReadonlyMap<string, string> {
  const site = join(import.meta.dirname, '../golden/check', name, 'site');
  const nodes = readdirSync(join(site, 'nodes')).filter((n) => /^[^.].*\.yaml$/.test(n));
  return new Map(
    ['site.yaml', ...nodes.map((n) => `nodes/${n}`)].map((f) => [
      f,
      readFileSync(join(site, f), 'utf8'),
    ]),
  );
}

const good = textsOf('good');
const files = [...good.keys()];

/** What holds for every site that comes out, whatever went in. */
function expectSound(texts: ReadonlyMap<string, string>): Site | undefined {
  const result = parseSite(texts);
  if (!result.ok) {
    expect(result.problems.length).toBeGreaterThan(0);
    for (const problem of result.problems) {
      const lines = (texts.get(problem.file) ?? '').split('\n').length;
      expect(problem.message).not.toBe('');
      expect(problem.line).toBeGreaterThanOrEqual(0);
      expect(problem.line).toBeLessThanOrEqual(lines);
    }
    return undefined;
  }
  const site = result.value;
  expect(site.nodes.size).toBe([...texts.keys()].filter((f) => f.startsWith('nodes/')).length);
  expect(site.admins.length).toBeGreaterThan(0);
  const addresses: string[] = [];
  const macs: string[] = [];
  for (const node of site.nodes.values()) {
    expect(node.roles.length).toBeGreaterThan(0);
    expect(node.links.filter((link) => link.gateway).length).toBeLessThanOrEqual(1);
    macs.push(...new Set([...node.id.macs, ...node.links.flatMap((link) => link.macs)]));
    for (const link of node.links) {
      const network = site.networks.get(link.network);
      expect(network && cidrContains(network.subnet, link.address)).toBe(true);
      expect(network?.pool && isBetween(link.address, network.pool)).not.toBe(true);
      expect(link.macs.length).toBeGreaterThan(0);
      addresses.push(link.address);
    }
  }
  expect(new Set(addresses).size).toBe(addresses.length);
  expect(new Set(macs).size).toBe(macs.length);
  return site;
}

test('a text cut off at any byte gives a sound site or problems, and throws nothing', () => {
  expect(expectSound(good)).toBeDefined();
  for (const file of files) {
    const text = good.get(file) ?? '';
    for (let end = 0; end < text.length; end++) {
      expectSound(new Map([...good, [file, text.slice(0, end)]]));
    }
  }
});

test('a text with anything put in, taken out or written over does too', () => {
  const bits = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 6 }),
    fc.constantFrom(
      '\n',
      ': ',
      '- ',
      '&a ',
      '*a',
      '{',
      '}',
      '[',
      ']',
      '"',
      "'",
      '|\n',
      '? ',
      '!!int ',
      '\t',
      '#',
      '---\n',
      '0',
      'null',
      '<<: ',
      '\0',
      '\u2028',
    ),
  );
  const edit = fc.record({ at: fc.nat(), remove: fc.nat({ max: 12 }), put: bits });
  fc.assert(
    fc.property(
      fc.constantFrom(...files),
      fc.array(edit, { minLength: 1, maxLength: 4 }),
      (file, edits) => {
        let text = good.get(file) ?? '';
        for (const { at, remove, put } of edits) {
          const from = at % (text.length + 1);
          text = text.slice(0, from) + put + text.slice(from + remove);
        }
        expectSound(new Map([...good, [file, text]]));
      },
    ),
    { numRuns: 400 },
  );
});

test('any text, and any YAML value under keys that exist, does too', () => {
  const key = fc.constantFrom(
    ...[
      'site',
      'domain',
      'admins',
      'ntp',
      'networks',
      'unknown',
      'services',
      'volumes',
      'clientClasses',
      'roles',
    ],
    ...[
      'id',
      'mac',
      'uuid',
      'serial',
      'port',
      'role',
      'tags',
      'links',
      'nic',
      'bond',
      'address',
      'gateway',
      'params',
      'console',
      'image',
    ],
    ...[
      'subnet',
      'server',
      'dns',
      'dhcp',
      'pool',
      'vip',
      'forward',
      'inside',
      'balancers',
      'servers',
      'check',
      'nodes',
      'device',
      'at',
      'boot',
      '__proto__',
    ],
  );
  const leaf = fc.oneof(
    fc.constantFrom(
      '10.77.0.11',
      '10.77.0.0/24',
      'web',
      'server',
      '52:54:00:00:00:11',
      80,
      -1,
      true,
      null,
      '',
      adminKey,
    ),
    fc.string(),
    fc.double(),
  );
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.dictionary(key, tie('value'), { maxKeys: 6 }),
      fc.array(tie('value'), { maxLength: 4 }),
    ),
  }));
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.dictionary(key, value, { maxKeys: 8 }).map((v) => stringify(v)),
  );
  fc.assert(
    fc.property(fc.constantFrom(...files), text, (file, broken) => {
      expectSound(new Map([...good, [file, broken]]));
    }),
    { numRuns: 400 },
  );
});

test('set-role changes nothing but the role', () => {
  const role = fc
    .stringMatching(/^[a-z][a-z0-9-]{0,8}[a-z0-9]$/)
    .filter((r) => !/^(null|true|false)$/.test(r));
  const comment = fc.stringMatching(/^[a-z :#]{0,12}$/).map((c) => (c === '' ? '' : `  # ${c}`));
  const roles = fc.uniqueArray(role, { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(roles, roles, comment, comment, (before, after, one, two) => {
      const written = before.length === 1 ? before[0] : `[${before.join(', ')}]`;
      const text = `# top${one}\nmac: 52:54:00:00:00:11${one}\n\nrole: ${written}${two}\nparams: {role: {a: 1}}${one}\n`;
      const edited = setRole(text, after);
      const others = (t: string) => t.split('\n').filter((line) => !line.startsWith('role:'));
      expect(others(edited)).toEqual(others(text));
      expect(edited).toContain(two.trim());
      expect(setRole(edited, after)).toBe(edited);
    }),
    { numRuns: 500 },
  );
});

test('init makes a sound site for any network that this machine may be in', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 8, max: 30 }),
      fc.nat(),
      fc.nat(),
      fc.nat(),
      fc.constantFrom('server' as const, 'proxy' as const),
      fc.constantFrom('ops', 'ops: the #1', "o'ps #2", 'x:'),
      (prefix, net, host, other, dhcp, comment) => {
        const size = 2 ** (32 - prefix);
        const base = (net % 2 ** prefix) * size;
        const address = (n: number) =>
          parseIpv4([24, 16, 8, 0].map((s) => (n >>> s) & 255).join('.'));
        const server = address(base + 1 + (host % (size - 2)));
        const gateway = address(base + 1 + (other % (size - 2)));
        const subnet = parseCidr(`${address(base)}/${prefix}`);
        if (!server || !gateway || !subnet) throw new Error('the test made no address');
        const admin = adminKey.replace(/ops$/, comment);
        const text = renderNewSite({
          name: 'new',
          domain: 'new.internal',
          admin,
          subnet,
          server,
          dhcp,
          ...(other % 3 === 0 ? {} : { gateway }),
        });
        const site = expectSound(new Map([['site.yaml', text]]));
        expect(site?.admins).toEqual([admin]);
        expect(site?.networks.get('boot')?.server).toBe(server);
      },
    ),
    { numRuns: 500 },
  );
});
