import { type BootSet, createBootSet } from '../boot/boot-set.ts';
import { kernelArguments } from '../boot/kernel-args.ts';
import type { Problem } from '../errors.ts';
import type { StoredImage } from '../images/image-store.ts';
import { type Fleet, rolesOf } from '../roles/fleet.ts';
import type { OverlayFile } from '../roles/overlay-file.ts';
import { packOverlay } from '../roles/pack-overlay.ts';
import { renderOverlay } from '../roles/render-overlay.ts';
import type { SiteNode } from '../site/site.ts';

/** A boot set with its overlay's tar, or all that keeps the node from getting one. */
export type PreparedBootSet =
  | {
      readonly ok: true;
      readonly set: BootSet;
      readonly overlay: Uint8Array;
      readonly files: readonly OverlayFile[];
    }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Renders and packs what turns the image into the node; the same input gives the same boot set. */
export async function prepareBootSet(
  fleet: Fleet,
  node: SiteNode,
  image: StoredImage | undefined,
): Promise<PreparedBootSet> {
  if (!image) {
    const message = `there is no published image ${node.image}`;
    const hint = `rolecall build ${node.image} --publish`;
    return { ok: false, problems: [{ file: node.file, line: 0, path: 'image', message, hint }] };
  }
  const { digest, manifest } = image;
  const rendered = renderOverlay({ fleet, node, facts: manifest });
  if (!rendered.ok) return rendered;
  const packed = await packOverlay(rendered.files);
  const set = createBootSet({
    node: node.name,
    roles: node.roles,
    image: digest,
    kernel: manifest.kernel,
    initramfs: manifest.initramfs,
    root: manifest.root,
    overlay: { digest: packed.digest, size: packed.bytes.byteLength },
    arguments: kernelArguments(node, rolesOf(fleet, node)),
    ...(rendered.secrets.length === 0 ? {} : { secrets: rendered.secrets }),
  });
  return { ok: true, set, overlay: packed.bytes, files: rendered.files };
}
