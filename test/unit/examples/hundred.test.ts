import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Fleet } from '../../../src/roles/fleet.ts';
import type { ImageFacts } from '../../../src/roles/image-facts.ts';
import { loadFleet } from '../../../src/roles/load-fleet.ts';
import { renderOverlay } from '../../../src/roles/render-overlay.ts';

const top = join(import.meta.dirname, '../../..');
const facts = JSON.parse(
  readFileSync(join(top, 'test/golden/overlay/facts.json'), 'utf8'),
) as ImageFacts;

describe('the example of a hundred machines', () => {
  let fleet: Fleet;
  const files = new Map<string, ReadonlyMap<string, string>>();

  beforeAll(async () => {
    const loaded = await loadFleet(join(top, 'examples/hundred'));
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems, null, 2));
    fleet = loaded.value;
    for (const node of fleet.site.nodes.values()) {
      const rendered = renderOverlay({ fleet, node, facts });
      if (!rendered.ok) throw new Error(JSON.stringify(rendered.problems, null, 2));
      const texts = rendered.files.flatMap((file) =>
        file.kind === 'symlink' ? [] : [[file.path, String(file.content)] as const],
      );
      files.set(node.name, new Map(texts));
    }
  });
  const file = (node: string, path: string) => files.get(node)?.get(path) ?? '';

  it('has a hundred, on four networks, each with an overlay of its own', () => {
    expect(fleet.site.nodes.size).toBe(100);
    expect(fleet.site.networks.size).toBe(4);
    const overlays = new Set([...files.values()].map((f) => JSON.stringify([...f])));
    expect(overlays.size).toBe(100);
  });

  it('has two pairs of balancers, whose virtual routers differ', () => {
    const routers = (node: string) =>
      [...file(node, '/etc/keepalived/keepalived.conf').matchAll(/virtual_router_id (\d+)/g)].map(
        ([, id]) => id,
      );
    expect(routers('edge1')).toEqual(routers('edge2'));
    expect(routers('core1')).toEqual(routers('core2'));
    expect(new Set([...routers('edge1'), ...routers('core1')]).size).toBe(
      routers('edge1').length + routers('core1').length,
    );
    expect(routers('front01')).toEqual([]);
  });

  it('tells a balancer of every server that it has, and of no other', () => {
    const servers = (node: string) =>
      new Set(
        [
          ...file(node, '/etc/keepalived/keepalived.conf').matchAll(/real_server ([\d.]+) 80\b/g),
        ].map(([, address]) => address),
      );
    expect(servers('edge1').size).toBe(48);
    expect(servers('edge1')).toEqual(servers('edge2'));
    expect(servers('core2').size).toBe(40);
    const both = [...servers('edge1')].filter((address) => servers('core2').has(address));
    expect(both).toEqual([]);
  });

  it('makes the return route of nat on the front and the loopback VIP of dsr on the applications', () => {
    const all = (node: string) => [...(files.get(node)?.values() ?? [])].join('\n');
    expect(all('front48')).toContain('10.81.0.100');
    expect(all('app40')).toContain('10.81.0.200/32');
    expect(all('front48')).not.toContain('10.81.0.200/32');
  });
});
