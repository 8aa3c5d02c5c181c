import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ImageFacts } from '../../../src/roles/image-facts.ts';
import { loadFleet } from '../../../src/roles/load-fleet.ts';
import { shippedRolesDir } from '../../../src/roles/load-roles.ts';
import { readyDir, renderOverlay } from '../../../src/roles/render-overlay.ts';
import { runProgram } from '../../../src/system/run-program.ts';

const golden = join(import.meta.dirname, '../../golden/overlay');
const facts = JSON.parse(await readFile(join(golden, 'facts.json'), 'utf8')) as ImageFacts;
const fleet = await loadFleet(join(golden, 'lab-swap/site'));
if (!fleet.ok) throw new Error(JSON.stringify(fleet.problems));
const { value } = fleet;

/** Scripts as they are on the nodes, each once. */
const scripts = new Map<string, string>();
for (const node of value.site.nodes.values()) {
  const rendered = renderOverlay({ fleet: value, node, facts });
  if (!rendered.ok) throw new Error(JSON.stringify(rendered.problems));
  for (const file of rendered.files) {
    if (file.kind === 'file' && file.mode === 0o755) scripts.set(file.path, String(file.content));
  }
}

describe.each([...scripts])('%s', (path, text) => {
  test('is a POSIX shell script without a remark of shellcheck', async () => {
    expect(text).toMatch(/^#!\/bin\/sh\n/);
    const dir = await mkdtemp(join(tmpdir(), 'rolecall-script-'));
    const file = join(dir, path.replaceAll('/', '_'));
    await writeFile(file, text);
    const { stdout } = await runProgram('shellcheck', ['--shell=sh', '--severity=style', file], {
      accept: [1],
    });
    await rm(dir, { recursive: true });
    expect(stdout).toBe('');
  });
});

test('there is a script for every ready command and every program of the roles', () => {
  expect([...scripts.keys()].sort()).toEqual([
    `${readyDir}/base`,
    `${readyDir}/mail`,
    `${readyDir}/web`,
    '/usr/lib/rolecall/agent',
    '/usr/lib/rolecall/boot-set',
    '/usr/lib/rolecall/disk-survey',
    '/usr/lib/rolecall/mail-probe',
    '/usr/lib/rolecall/mail-store',
    '/usr/lib/rolecall/report',
  ]);
});

test('a report holds any bytes as a JSON string', async () => {
  const agent = await readFile(
    join(shippedRolesDir, 'base/files/usr/lib/rolecall/reporting'),
    'utf8',
  );
  const body = /^json_string\(\) \{\n[\s\S]*?\n\}$/m.exec(agent)?.[0];
  expect(body).toBeDefined();
  await fc.assert(
    fc.asyncProperty(
      // No word of a shell holds a zero.
      fc.oneof(
        fc.uint8Array({ min: 1, maxLength: 60 }),
        fc.string({ unit: 'binary' }).map((text) => utf8(text.replaceAll('\0', ''))),
      ),
      async (bytes) => {
        const script = `${body}\njson_string "$(cat)" 60`;
        const { stdout } = await runProgram('sh', ['-c', script], { input: bytes });
        const printable = Array.from(bytes.slice(0, 60), (b) => (b < 32 || b > 126 ? 32 : b));
        expect(JSON.parse(stdout)).toBe(String.fromCharCode(...printable).trimEnd());
      },
    ),
    {
      numRuns: 15,
      examples: [[utf8('a "b" \\ c\\\\"')], [utf8('-n')], [utf8('%s\\n')], [utf8('Größe\t1')]],
    },
  );
});

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
