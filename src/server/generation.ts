import type { BootSet } from '../boot/boot-set.ts';
import type { Blob } from '../boot/image-manifest.ts';
import { nodeArchitecture } from '../boot/node-architecture.ts';
import { canonicalJson, type Digest, digestOf } from '../digest.ts';
import type { ImageStore, StoredImage } from '../images/image-store.ts';
import { publishedUntested } from '../images/judge-image.ts';
import { warnings } from '../roles/check-fleet.ts';
import type { Fleet } from '../roles/fleet.ts';
import type { SiteNode } from '../site/site.ts';
import type { OverlayStore } from '../state/overlays.ts';
import { prepareBootSet } from './prepare-boot-set.ts';

/** A node's boot set, or why it gets none. */
export type PreparedSet =
  | { readonly ok: true; readonly set: BootSet }
  | { readonly ok: false; readonly reason: string };

/** What the server serves between one accepted edit of the site and the next: all nodes switch together. */
export interface Generation {
  readonly number: number;
  readonly fleet: Fleet;
  /** Loaders of the published image by file name. */
  readonly loaders: Readonly<Record<string, Blob>>;
  /** By node name; a node whose image lacks a package is here with the reason. */
  readonly sets: ReadonlyMap<string, PreparedSet>;
  /** What the operator should mind of a node, such as mail that lives in RAM, by node name. */
  readonly notes: ReadonlyMap<string, string>;
  /** Published images that the site wants tested, and that are not; one line each. */
  readonly untested: readonly string[];
  /** The boot set of a node of the site, or of a spare, which is prepared when it asks. */
  bootSet(node: SiteNode): Promise<PreparedSet>;
  /** Overlays that this generation may name. */
  overlays(): ReadonlySet<Digest>;
}

export interface GenerationParts {
  readonly number: number;
  readonly fleet: Fleet;
  readonly images: ImageStore;
  readonly overlays: OverlayStore;
}

/** Overlays that go to disk together: one is rendered while others are written. */
const together = 16;

/** Renders and packs every node's overlay; on disk when this resolves. */
export async function prepareGeneration(parts: GenerationParts): Promise<Generation> {
  const { fleet, images, overlays } = parts;
  const resolved = new Map<string, StoredImage | undefined>();
  for (const name of new Set([
    'universal',
    ...[...fleet.site.nodes.values()].map((n) => n.image),
  ])) {
    resolved.set(name, await images.resolve(name, nodeArchitecture));
  }
  const untested = new Map<string, string>();
  for (const [name, image] of resolved) {
    const why = image ? await publishedUntested(fleet, images, image) : '';
    if (why !== '') untested.set(name, why);
  }
  const kept = new Map<string, Promise<PreparedSet>>();

  function bootSet(node: SiteNode): Promise<PreparedSet> {
    const known = kept.get(node.name);
    if (known) return known;
    const prepared = prepareSet(fleet, node, resolved.get(node.image), overlays);
    kept.set(node.name, prepared);
    // What a full disk refused is made anew for who asks next.
    prepared.catch(() => kept.delete(node.name));
    return prepared;
  }

  const sets = new Map<string, PreparedSet>();
  const nodes = [...fleet.site.nodes.values()];
  for (let at = 0; at < nodes.length; at += together) {
    const some = nodes.slice(at, at + together);
    const prepared = await Promise.all(some.map(bootSet));
    for (const [i, node] of some.entries()) {
      const set = prepared[i];
      if (set) sets.set(node.name, set);
    }
  }
  const digests = new Set<Digest>();
  return {
    number: parts.number,
    fleet,
    loaders: resolved.get('universal')?.manifest.loaders ?? {},
    sets,
    notes: notesOf(fleet, untested),
    untested: [...untested.values()],
    async bootSet(node) {
      const prepared = await bootSet(node);
      if (prepared.ok) digests.add(prepared.set.overlay.digest);
      return prepared;
    },
    overlays() {
      for (const prepared of sets.values())
        if (prepared.ok) digests.add(prepared.set.overlay.digest);
      return digests;
    },
  };
}

function notesOf(fleet: Fleet, untested: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const nodeOf = new Map([...fleet.site.nodes.values()].map((node) => [node.file, node.name]));
  const notes = new Map<string, string>();
  for (const { file, message } of warnings(fleet)) {
    const node = nodeOf.get(file);
    if (node) notes.set(node, [notes.get(node), message].filter(Boolean).join('; '));
  }
  for (const { name, image } of fleet.site.nodes.values()) {
    const said = [notes.get(name), untested.get(image)].filter(Boolean).join('; ');
    if (said !== '') notes.set(name, said);
  }
  return notes;
}

/** One line for each node that gets no boot set, and why. */
export function refusals({ sets }: Pick<Generation, 'sets'>): readonly string[] {
  return [...sets].flatMap(([node, set]) =>
    set.ok ? [] : [`node ${node} gets no boot set: ${set.reason}`],
  );
}

/** Whether both serve the same boot sets and loaders to the same machines. */
export function isSameGeneration(a: Generation, b: Generation): boolean {
  return describeGeneration(a) === describeGeneration(b);
}

function describeGeneration({ fleet, loaders, sets, untested }: Generation): string {
  const outcomes = [...sets].map(([name, set]) => [name, set.ok ? set.set.digest : set.reason]);
  // A spare's boot set is made only when it asks; what it is made of counts all the same.
  const sources = [...fleet.sources].map(([path, content]) => [path, digestOf(content)]);
  return canonicalJson({
    site: fleet.site,
    roles: fleet.roles,
    sources,
    loaders,
    outcomes,
    untested,
  });
}

async function prepareSet(
  fleet: Fleet,
  node: SiteNode,
  image: StoredImage | undefined,
  overlays: OverlayStore,
): Promise<PreparedSet> {
  const prepared = await prepareBootSet(fleet, node, image);
  if (!prepared.ok) {
    const reasons = prepared.problems.map((p) => (p.hint ? `${p.message} (${p.hint})` : p.message));
    return { ok: false, reason: reasons.join('\n') };
  }
  await overlays.put(prepared.overlay);
  return { ok: true, set: prepared.set };
}
