import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseMac } from '../../src/net/mac.ts';
import { type Fleet, spareNode } from '../../src/roles/fleet.ts';
import type { ImageFacts } from '../../src/roles/image-facts.ts';
import { loadFleet } from '../../src/roles/load-fleet.ts';
import type { OverlayFile } from '../../src/roles/overlay-file.ts';
import { renderOverlay } from '../../src/roles/render-overlay.ts';
import type { SiteNode } from '../../src/site/site.ts';

const cases = join(import.meta.dirname, 'overlay');
const facts = JSON.parse(readFileSync(join(cases, 'facts.json'), 'utf8')) as ImageFacts;

// Each case is a site folder and every file of each of its nodes; `vitest -u` rewrites them.
describe('the files that make an image a node', () => {
  for (const name of ['lab-swap', 'edges', 'services']) {
    test(name, async () => {
      const fleet = await loadFleet(join(cases, name, 'site'));
      if (!fleet.ok) throw new Error(JSON.stringify(fleet.problems, null, 2));
      const nodes = [...fleet.value.site.nodes.values(), ...spares(fleet.value)];
      for (const node of nodes) {
        const file = join(cases, name, 'expected', node.name);
        await expect(describeNode(fleet.value, node)).toMatchFileSnapshot(file);
      }
      expect(readdirSync(join(cases, name, 'expected')).sort()).toEqual(
        nodes.map((node) => node.name).sort(),
      );
    });
  }
});

function spares(fleet: Fleet): readonly SiteNode[] {
  const mac = parseMac('52:54:00:77:00:99');
  if (!mac) throw new Error('no MAC');
  return fleet.site.unknown === 'spare' ? [spareNode('spare-525400770099', mac)] : [];
}

function describeNode(fleet: Fleet, node: SiteNode): string {
  const rendered = renderOverlay({ fleet, node, facts });
  if (!rendered.ok) throw new Error(JSON.stringify(rendered.problems, null, 2));
  // Scripts and units that a role ships as they are have files of their own already.
  const asShipped = new Set<unknown>(fleet.sources.values());
  const secrets = rendered.secrets.map(
    ({ path, name, hosts, mode, uid, gid }) =>
      `=== ${path} ${mode.toString(8)} ${uid}:${gid} (secret: certificate ${name} for ${hosts.join(' ')})\n`,
  );
  return [...rendered.files.map((file) => describeFile(file, asShipped)), ...secrets].join('');
}

function describeFile(file: OverlayFile, asShipped: ReadonlySet<unknown>): string {
  const head = `=== ${file.path} ${file.mode.toString(8)} ${file.uid}:${file.gid}`;
  if (file.kind === 'symlink') return `${head} -> ${file.target}\n`;
  if (asShipped.has(file.content)) return `${head} (as shipped)\n`;
  return `${head}\n${file.content}`;
}
