import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Document, isMap, parseDocument } from 'yaml';
import { madeUpMac } from '../lab/vm-spec.ts';
import { loadSite } from '../site/load-site.ts';
import { freeAddress } from './client-address.ts';

/**
 * Changes a copy of a site to what the lab's machines are: the lab's own boot server gives all addresses,
 * consoles are the one serial port, disks hang on virtio, cards have a MAC, and nobody is unknown unless `spares`
 * shall be there. Gives back a line for each thing that is otherwise than in the operator's site.
 */
export async function adaptSite(
  folder: string,
  { spares = false }: { readonly spares?: boolean } = {},
): Promise<readonly string[]> {
  const notes: string[] = [];
  const loaded = await loadSite(folder);
  // Whoever loads it next says what is wrong with it.
  if (!loaded.ok) return notes;
  const site = loaded.value;
  await edit(join(folder, 'site.yaml'), (document) => {
    for (const network of site.networks.values()) {
      const path = ['networks', network.name];
      if (network.dhcp === 'proxy') {
        document.setIn([...path, 'dhcp'], 'server');
        notes.push(
          `${network.name}: no other DHCP server is in the lab; rolecall gives the addresses`,
        );
      }
      if (network.relay !== undefined) {
        document.deleteIn([...path, 'relay']);
        document.setIn([...path, 'server'], network.gateway ?? freeAddress(site, network));
        document.setIn([...path, 'dhcp'], 'server');
        notes.push(
          `${network.name}: no relay is in the lab; the boot server is on the network itself`,
        );
      }
    }
    if (site.unknown === 'spare' && !spares) document.set('unknown', 'ignore');
    for (const { name, device } of site.volumes.values()) {
      if (/^\/dev\/disk\/by-id\/virtio-[^/]{1,20}$/.test(device)) continue;
      const played = `/dev/disk/by-id/virtio-${name.slice(0, 20)}`;
      document.setIn(['volumes', name, 'device'], played);
      notes.push(`volume ${name}: ${played} stands for ${device}`);
    }
  });
  for (const node of site.nodes.values()) {
    const cardless = node.links.filter((link) => link.macs.length === 0);
    if (cardless.length === 0) continue;
    await edit(join(folder, node.file), (document) => {
      for (const { network } of cardless) {
        const mac = madeUpMac(node.name, network);
        if (!document.has('links')) {
          document.setIn(['id', 'mac'], mac);
          continue;
        }
        document.setIn(['links', network, 'nic'], mac);
        document.deleteIn(['links', network, 'path']);
      }
    });
    notes.push(`${node.name}: a MAC stands for what its role file knows its cards by`);
  }
  const consoles = [...site.nodes.values()].filter((node) => node.console.device !== 'ttyS0');
  for (const { file } of consoles) {
    await edit(join(folder, file), (document) => {
      document.delete('console');
    });
  }
  if (consoles.length > 0) notes.push('consoles: the first serial port, for all machines');
  return notes;
}

async function edit(file: string, change: (document: Document) => void): Promise<void> {
  const document = parseDocument(await readFile(file, 'utf8'));
  if (!isMap(document.contents)) return;
  change(document);
  await writeFile(file, document.toString({ lineWidth: 0 }));
}
