import { spareMac } from '../boot/identify-machine.ts';
import type { ImageManifest } from '../boot/image-manifest.ts';
import { nodeArchitecture } from '../boot/node-architecture.ts';
import { AppError, type Problem } from '../errors.ts';
import { openImageStore } from '../images/image-store.ts';
import { renderProblems } from '../render-problems.ts';
import { type Fleet, spareNode } from '../roles/fleet.ts';
import { loadFleet } from '../roles/load-fleet.ts';
import type { OverlayFile } from '../roles/overlay-file.ts';
import { renderOverlay } from '../roles/render-overlay.ts';
import { closestTo, suggestion } from '../site/did-you-mean.ts';
import { sortProblems } from '../site/parse-site.ts';
import type { SiteNode } from '../site/site.ts';
import { type RegisterCommand, say } from './command.ts';
import { renderTable } from './table.ts';

/** `rolecall render <node> [path]`: the files that turn the image into a node, before it boots. */
export const register: RegisterCommand = (program, globals) => {
  program
    .command('render')
    .description('list the files that make an image this node, or print one of them')
    .argument('<node>')
    .argument('[path]', 'absolute path on the node')
    .action(async (name: string, path: string | undefined) => {
      const { site: dir, state, json } = globals();
      const fleet = await loadFleet(dir);
      if (!fleet.ok) throw invalid(fleet.problems);
      const node = findNode(fleet.value, name);
      const rendered = renderOverlay({
        fleet: fleet.value,
        node,
        facts: await factsOf(state, node),
      });
      if (!rendered.ok) throw invalid(rendered.problems);
      const { files } = rendered;
      if (path === undefined) {
        say(json ? JSON.stringify(files.map(rowOf), null, 2) : renderFiles(files));
        return;
      }
      const file = findFile(files, node.name, path);
      if (json) say(JSON.stringify([{ ...rowOf(file), content: contentOf(file) }], null, 2));
      else process.stdout.write(contentOf(file));
    });
};

function invalid(problems: readonly Problem[]): AppError {
  return new AppError('invalid-site', renderProblems(sortProblems(problems)));
}

/** A node of the site, or a spare by its name. */
function findNode({ site }: Fleet, name: string): SiteNode {
  const node = site.nodes.get(name);
  if (node) return node;
  const mac = spareMac(name);
  if (mac) return spareNode(name, mac);
  const hint = suggestion(name, [...site.nodes.keys()], 'nodes');
  throw new AppError('usage', `there is no node ${name}`, hint);
}

/** The published image's facts, or else the newest build's. */
async function factsOf(state: string, node: SiteNode): Promise<ImageManifest> {
  const store = openImageStore(state);
  const image =
    (await store.resolve(node.image, nodeArchitecture)) ??
    (await store.resolve(node.image, nodeArchitecture, 'built'));
  if (image) return image.manifest;
  throw new AppError(
    'no-image',
    `${state} holds no image ${node.image}, and its units and accounts are a part of the files`,
    `rolecall build${node.image === 'universal' ? '' : ` ${node.image}`}`,
  );
}

function findFile(files: readonly OverlayFile[], name: string, path: string): OverlayFile {
  const file = files.find((f) => f.path === path);
  if (file) return file;
  const paths = files.map((f) => f.path);
  const inside = paths.filter((p) => p.startsWith(`${path.replace(/\/+$/, '')}/`));
  if (path.startsWith('/') && inside.length > 0) {
    throw new AppError('usage', `${path} is a folder of the node`, inside.join('\n'));
  }
  const near = closestTo(path, paths);
  const hint = near ? `did you mean ${near}?` : `rolecall render ${name} lists its files`;
  throw new AppError('usage', `the node has no file ${path}`, hint);
}

function contentOf(file: OverlayFile): string {
  return file.kind === 'symlink' ? `${file.target}\n` : Buffer.from(file.content).toString('utf8');
}

/** A row of `render --json`; bytes of the content, 0 for a link. */
function rowOf(file: OverlayFile) {
  return {
    path: file.path,
    kind: file.kind,
    mode: file.mode.toString(8).padStart(4, '0'),
    uid: file.uid,
    gid: file.gid,
    size: file.kind === 'symlink' ? 0 : Buffer.byteLength(file.content),
    ...(file.kind === 'symlink' ? { target: file.target } : {}),
  };
}

function renderFiles(files: readonly OverlayFile[]): string {
  return renderTable(
    ['mode', 'owner', 'bytes', 'path'],
    files
      .map(rowOf)
      .map((row) => [
        row.kind === 'symlink' ? 'link' : row.mode,
        `${row.uid}:${row.gid}`,
        String(row.size),
        row.target === undefined ? row.path : `${row.path} -> ${row.target}`,
      ]),
  );
}
