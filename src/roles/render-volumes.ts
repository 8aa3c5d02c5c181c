import type { Ipv4 } from '../net/ipv4.ts';
import { type Site, type SiteNode, selectNodes, type Volume } from '../site/site.ts';
import { fileSystemId, replicationPort, volumeNumbers } from '../volumes/volume-numbers.ts';
import { type OverlayFile, rootFile, rootLink } from './overlay-file.ts';

/** A line of fstab(5), without its end. */
export type FstabLine = string;

/**
 * What a node needs for the volumes that it holds a copy of: DRBD's resource (drbd.conf(5)), what the
 * programs of the role storage know of it, and the link that starts them.
 */
export function renderHeldVolumes(site: Site, node: SiteNode): readonly OverlayFile[] {
  const numbers = volumeNumbers(site.volumes.keys());
  return [...site.volumes.values()]
    .filter((volume) => volume.nodes.includes(node.name))
    .flatMap((volume) => {
      const number = numbers.get(volume.name) ?? 0;
      return [
        rootFile(`/etc/drbd.d/${volume.name}.res`, renderResource(site, volume, number)),
        rootFile(
          `/etc/rolecall/volumes/${volume.name}.conf`,
          renderConf(site, node, volume, number),
        ),
        rootFile(`/etc/rolecall/volumes/${volume.name}.clients`, renderClients(site, volume)),
        rootLink(
          `/etc/systemd/system/multi-user.target.wants/rolecall-volume@${volume.name}.service`,
          '/usr/lib/systemd/system/rolecall-volume@.service',
        ),
      ];
    });
}

/**
 * The lines of fstab(5) by which a node mounts the volumes that it is a client of. A mount waits for as long
 * as the volume does, and holds up nothing but what needs it (systemd.mount(5)); once mounted, writes wait
 * through a fail-over (nfs(5), hard). From version 4.1 on the kernel gives up a connection that brings no
 * answer only after the server's lease time, whatever timeo says; the new leader resets it (volume-tickle).
 * A volume that holds one of the `asked` folders is mounted when the role of that folder asks for it, and
 * an attempt that fails ends, so that the role can say why.
 */
export function clientMounts(
  site: Site,
  node: SiteNode,
  asked: readonly string[],
): readonly FstabLine[] {
  return clientVolumes(site, node).map((volume) => {
    const waits = !asked.some((folder) => isBelow(folder, volume.at));
    const options = [
      'vers=4.2,proto=tcp,hard,timeo=10,retrans=3,noatime',
      // Minutes for which mount.nfs tries again.
      waits ? 'retry=100000' : 'retry=0',
      '_netdev,nofail',
      waits ? 'x-systemd.mount-timeout=infinity' : 'noauto,x-systemd.mount-timeout=60',
    ];
    return `${serverFor(node, volume)}:/${volume.name} ${volume.at} nfs ${options.join(',')} 0 0`;
  });
}

/** Volumes that a node mounts. */
export function clientVolumes(site: Site, node: SiteNode): readonly Volume[] {
  return [...site.volumes.values()].filter((volume) =>
    selectNodes(site, volume.clients).includes(node.name),
  );
}

/** The volume that holds this folder of the node; undefined where none does. */
export function volumeOfFolder(site: Site, node: SiteNode, folder: string): Volume | undefined {
  return clientVolumes(site, node).find(({ at }) => isBelow(folder, at));
}

/** Whether a folder is this place or in it. */
export function isBelow(folder: string, place: string): boolean {
  return folder === place || folder.startsWith(`${place}/`);
}

/** The VIP on a network of the node's own, or else one that its gateway leads to. */
function serverFor(node: SiteNode, volume: Volume): Ipv4 | undefined {
  const near = node.links.find((link) => volume.vip.has(link.network));
  return volume.vip.get(near?.network ?? '') ?? [...volume.vip.values()][0];
}

function renderResource(site: Site, volume: Volume, number: number): string {
  const hosts = volume.nodes.map((name) => {
    const address = addressOn(site, name, volume.replication);
    return `	on ${name} {
		address ${address}:${replicationPort(number)};
	}
`;
  });
  return `# Both nodes hold every byte of the volume: a write has happened when both have it (protocol C).
resource ${volume.name} {
	device /dev/drbd${number} minor ${number};
	disk ${volume.device};
	meta-disk internal;
	net {
		protocol C;
		# A dead peer is noticed within the term of the witness's lease. Tenths of seconds, but for -int.
		ping-int 2;
		ping-timeout 10;
		timeout 20;
		connect-int 3;
		after-sb-0pri discard-zero-changes;
	}
	disk {
		# Without its peer a node holds back writes until the witness has called the peer's copy older.
		fencing resource-and-stonith;
		on-io-error detach;
		# A resynchronisation begins slowly, takes what clients leave, and keeps a little when they leave nothing.
		resync-rate 10M;
		c-min-rate 4M;
		c-max-rate 500M;
	}
	handlers {
		fence-peer /usr/lib/rolecall/volume-fence;
	}
${hosts.join('')}}
`;
}

/** Read by POSIX sh. Names and addresses hold nothing that it would take for more. */
function renderConf(site: Site, node: SiteNode, volume: Volume, number: number): string {
  const vips = [...volume.vip].flatMap(([network, vip]) => {
    const own = addressOn(site, node.name, network);
    return own === undefined ? [] : [`${vip}@${own}`];
  });
  return `DEVICE='${volume.device}'
MINOR=${number}
PEER=${volume.nodes.find((name) => name !== node.name) ?? ''}
VIPS='${vips.join(' ')}'
FSID=${fileSystemId(site.name, volume.name)}
`;
}

/** The addresses of the clients, one a line: apart from the rest, as they change while the volume is served. */
function renderClients(site: Site, volume: Volume): string {
  return selectNodes(site, volume.clients)
    .flatMap((name) => site.nodes.get(name)?.links ?? [])
    .map(({ address }) => `${address}\n`)
    .join('');
}

function addressOn(site: Site, node: string, network: string): Ipv4 | undefined {
  return site.nodes.get(node)?.links.find((link) => link.network === network)?.address;
}
