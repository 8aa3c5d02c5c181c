import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openImageStore } from '../../src/images/image-store.ts';
import { images, labScenario } from '../lab/harness/lab-under-test.ts';

const definition = `name: edge
extends: universal
packages: [jq]
files: [{ from: motd, to: etc/edge }]
prune: { paths: [usr/share/perl5/Debconf] }
`;

it('a node boots an image that extends another: two layers, of which one is everybody’s', async () => {
  const edit = async (site: string) => {
    await mkdir(join(site, 'images'));
    await writeFile(join(site, 'images/edge.yaml'), definition);
    await writeFile(join(site, 'images/motd'), 'this is the edge\n');
    const node = join(site, 'nodes/web1.yaml');
    await writeFile(node, `${await readFile(node, 'utf8')}\nimage: edge\n`);
  };
  await labScenario({ name: 'extended', only: ['web1', 'web2'], edit }, async (lab) => {
    const store = openImageStore(images);
    const [edge, universal] = await Promise.all(
      ['edge', 'universal'].map((name) => store.resolve(name, 'amd64')),
    );
    expect(edge?.manifest.root).toHaveLength(2);
    expect(edge?.manifest.root[0]).toEqual(universal?.manifest.root[0]);
    expect(edge?.manifest.kernel).toEqual(universal?.manifest.kernel);

    const [one, other] = await Promise.all(
      ['web1', 'web2'].map((node) => lab.waitStage(node, 'ready')),
    );
    expect([one?.image, other?.image]).toEqual([edge?.digest, universal?.digest]);
    expect((await lab.http('web1', '/')).body).toContain('web1');
    const seen = await lab.ssh(
      'web1',
      `cat /etc/edge; echo '{"a": "jq runs"}' | jq -r .a
      for root in / /run/rolecall/root; do ls -d $root/usr/share/perl5/Debconf 2>&1 | grep -c 'No such'; done
      cat /run/rolecall/root/etc/edge; grep -c squashfs /proc/mounts`,
    );
    expect(seen.split('\n')).toEqual([
      ...['this is the edge', 'jq runs', '1', '1', 'this is the edge', '2'],
    ]);
    const plain =
      'command -v jq; ls /etc/edge 2>&1 | grep -c "No such"; grep -c squashfs /proc/mounts';
    expect((await lab.ssh('web2', plain)).split('\n').slice(0, 1)).toEqual(['1']);
  });
});
