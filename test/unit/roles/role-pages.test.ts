import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeParameters } from '../../../src/roles/describe-parameters.ts';
import { loadRoles } from '../../../src/roles/load-roles.ts';
import { parseRole } from '../../../src/roles/parse-role.ts';
import { renderRolePage } from '../../../src/roles/render-role-page.ts';

const pages = join(import.meta.dirname, '../../../docs/roles');
const toWrite = 'to write the pages anew, type in the checkout: bin/rolecall role pages docs/roles';
const loaded = await loadRoles('/nowhere');
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
const roles = loaded.value;

describe('docs/roles', () => {
  test.each([...roles.values()])('$name.md is what role.yaml says', async (role) => {
    const page = await readFile(join(pages, `${role.name}.md`), 'utf8').catch(() => '');
    expect(page, toWrite).toBe(renderRolePage(role, roles.get('base')));
  });

  test('has no page of a role that is gone, and docs/roles.md links to each', async () => {
    const names = readdirSync(pages).sort();
    expect(names, 'remove the pages of other roles').toEqual(
      [...roles.keys()].map((name) => `${name}.md`),
    );
    const text = await readFile(join(pages, '../roles.md'), 'utf8');
    expect(names.filter((name) => !text.includes(`](roles/${name})`))).toEqual([]);
  });
});

test('a page says everything that role.yaml does', () => {
  const tree = [
    { path: '/etc/x.conf', source: '/x/x.conf.ejs', kind: 'template' },
    { path: '/etc/y', source: '/x/y', kind: 'file' },
    { path: '/etc/z', source: '/x/z', kind: 'symlink', target: 'y' },
  ] as const;
  const text = [
    'summary: says hello',
    'packages: [hello]',
    'units: [hello.service]',
    'modules: [ip_vs]',
    'arguments: [quiet]',
    'sysctls: {kernel.panic: 5}',
    'listens: [tcp/80, "tcp/<%= params.hello.port %>"]',
    'needs: {memory: 512}',
    'remove: [/etc/motd]',
    'data: {/srv/x: {memory: 8, disk: /dev/vdb, exclusive: true, owner: mail}}',
    'secrets: {/etc/x.pem: {certificate: x, hosts: lab.example}}',
    'files: {/etc/x.conf: {mode: 0640, owner: root, group: adm}}',
    'parameters:',
    '  required: [port]',
    '  properties:',
    '    port: {type: integer, minimum: 1, maximum: 65535, description: where it listens}',
    '    how: {enum: [loud, low], default: low}',
    '    to: {type: array, minItems: 1, items: {type: string, pattern: "^a|b$"}}',
    '    users: {type: object, additionalProperties: {type: object, properties: {file: {type: string, format: site-file}}}}',
    'reload:',
    '  - {paths: [/etc/x.conf], check: hello -t, unit: hello.service}',
    'ready: |',
    '  hello',
    '',
    '  true',
  ].join('\n');
  const role = parseRole({ name: 'hello', dir: '/x', own: true, file: 'role.yaml', text, tree });
  if (!role.ok) throw new Error(JSON.stringify(role.problems));
  const base = parseRole({
    ...{ name: 'base', dir: '/x', own: true, file: 'role.yaml', tree: [] },
    text: 'summary: x\nready: "true"\nreload: [{paths: [/etc/y], action: none}]',
  });
  expect(renderRolePage(role.value, base.ok ? base.value : undefined)).toMatchInlineSnapshot(`
    "# hello

    Says hello.

    Written by \`rolecall role pages\` from role.yaml. What each part means is in \`docs/roles.md\`.

    ## Parameters

    | name | type | default | bounds | meaning |
    |---|---|---|---|---|
    | \`port\` | integer | required | \`at least 1; at most 65535\` | where it listens |
    | \`how\` | one of loud, low | \`"low"\` |  |  |
    | \`to\` | list of string |  | \`entries: at least 1; each matches ^a\\|b$\` |  |
    | \`users\` | mapping |  |  |  |
    | \`users.<name>\` | mapping |  |  |  |
    | \`users.<name>.file\` | file of the site |  |  |  |

    ## Listens on

    \`tcp/80\`, \`tcp/<%= params.hello.port %>\`

    ## Packages

    \`hello\`

    ## Units

    \`hello.service\`

    ## Kernel

    - module \`ip_vs\`
    - argument \`quiet\`
    - sysctl \`kernel.panic = 5\`

    ## Needs

    \`memory: 512\`

    ## Data

    | folder | MiB of RAM at most | or on the disk | mode and owner | shared |
    |---|---|---|---|---|
    | \`/srv/x\` | \`8\` | \`/dev/vdb\` | 0755 mail:mail | one node at a time |

    ## Secrets

    | path | what | mode and owner |
    |---|---|---|
    | \`/etc/x.pem\` | key and certificate \`x\` | 0600 root:root |

    ## Files

    | path | kind | mode and owner | a change |
    |---|---|---|---|
    | \`/etc/x.conf\` | template | 0640 root:adm | reloads \`hello.service\` |
    | \`/etc/y\` |  | 0644 root:root | is read anew |
    | \`/etc/z\` | symlink | \`y\` | needs a reboot |

    ## Removes

    \`/etc/motd\`

    ## When files change

    | paths | checked by | a change |
    |---|---|---|
    | \`/etc/x.conf\` | \`hello -t\` | reloads \`hello.service\` |

    ## Ready when this ends with 0

        hello

        true
    "
  `);
});

test('parameters of any schema', () => {
  const one = (schema: object) => describeParameters({ properties: { a: schema } })[0];
  expect(one({ type: ['string', 'null'] })?.type).toBe('string or null');
  expect(one({ anyOf: [{ type: 'string' }, { type: 'array' }] })?.type).toBe('string or list');
  expect(one({})?.type).toBe('anything');
  expect(one({ exclusiveMinimum: 0, exclusiveMaximum: 2, maxLength: 3 })?.bounds).toBe(
    'more than 0; less than 2; characters: at most 3',
  );
  expect(one({ propertyNames: { pattern: '^/' } })?.bounds).toBe('names: matches ^/');
});
