import { readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Blob } from '../../src/boot/image-manifest.ts';
import { openImageStore } from '../../src/images/image-store.ts';
import { loadersOf } from '../../src/pxe/loader-by-client.ts';
import { createLoaders, type OpenLoader } from '../../src/server/tftp-content.ts';
import { loadSite } from '../../src/site/load-site.ts';
import type { Site } from '../../src/site/site.ts';
import { createAnswering } from './answering.ts';
import { captureNames, readCapture } from './read-capture.ts';
import { readRecording, recordingNames } from './recording.ts';

// Each recording of `boots` is answered as the servers would answer it now; `vitest run test/captures -u` writes
// `answers` anew. What is seen there to change is what machines will see.
let folder: string;
let site: Site;
let open: OpenLoader;
let loaders: Record<string, Blob>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rc-replay-'));
  const loaded = await loadSite(join(import.meta.dirname, 'site'));
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems, null, 2));
  site = loaded.value;
  const store = openImageStore(folder);
  const wishes = [true, false].map((secureBoot) => ({ secureBoot }));
  loaders = {};
  for (const name of wishes.flatMap((wish) => loadersOf(wish))) {
    const file = join(folder, name);
    await writeFile(file, Buffer.alloc(100_000, name));
    loaders[name] = await store.addBlob(file);
  }
  open = createLoaders(store);
});
afterAll(() => rm(folder, { recursive: true }));

/** The site.yaml of a recording says more than the others'. */
const wishes: Readonly<Record<string, Partial<Site>>> = {
  'ovmf-secure-boot': { secureBoot: true },
};

const answersFile = (name: string) => join(import.meta.dirname, 'answers', `${name}.txt`);

describe('what the recorded machines are answered', () => {
  it.each(recordingNames())('%s', async (name) => {
    const { about, packets } = readRecording(name);
    const answering = createAnswering({ site: { ...site, ...wishes[name] }, loaders, open });
    const lines: string[] = [];
    for (const packet of packets) {
      const line = await answering.answer(packet);
      if (line !== undefined) lines.push(line);
    }
    expect(lines.length).toBeGreaterThan(1);
    await expect(`# ${about[0]}\n${lines.join('\n')}\n`).toMatchFileSnapshot(answersFile(name));
  });

  it('are all there is', () => {
    const files = readdirSync(join(import.meta.dirname, 'answers'));
    const expected = [...recordingNames(), 'single-messages'].map((name) => `${name}.txt`);
    expect(files.sort()).toEqual(expected.sort());
  });

  it('single messages', async () => {
    const lines = await Promise.all(
      captureNames().map(async (name) => {
        const line = await createAnswering({ site, loaders, open }).answer({
          at: 0,
          card: '',
          from: { address: '0.0.0.0', port: 68 },
          to: { address: '255.255.255.255', port: 67 },
          says: [],
          bytes: readCapture(name),
        });
        return `${name}: ${line?.replace(/^ *0.0 s +/, '')}`;
      }),
    );
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot(answersFile('single-messages'));
  });
});
