import { formatCidr } from '../net/ipv4.ts';
import { bootLink, type Link, type Network, type Site, type SiteNode } from '../site/site.ts';
import { type OverlayFile, rootFile, rootLink } from './overlay-file.ts';

const dir = '/etc/systemd/network';

/** The file of a link; further settings of the link go into a folder of this name with `.d` at its end. */
export function linkFile(network: string): string {
  return `${dir}/10-${network}.network`;
}

/** The interface that a link's cards are bonded into; empty where they are not. */
export function bondName(node: Pick<SiteNode, 'links'>, link: Link): string {
  const bonds = node.links.filter((other) => other.bond !== undefined);
  return link.bond === undefined ? '' : `bond${bonds.indexOf(link)}`;
}

/**
 * The systemd-networkd files of a node's links, matched by MAC, by slot, or by being the card that the node booted
 * by, so that no interface name matters (systemd.network(5), systemd.netdev(5)). A node without links asks DHCP on every Ethernet card.
 */
export function renderLinks(site: Site, node: SiteNode): readonly OverlayFile[] {
  if (node.links.length === 0) return [rootFile(`${dir}/10-dhcp.network`, dhcpNetwork)];
  const boot = bootLink(site, node) ?? node.links[0];
  return node.links.flatMap((link) => {
    const network = site.networks.get(link.network);
    if (!network) throw new Error(`no network ${link.network} in the site`);
    return link.bond === undefined
      ? [
          rootFile(linkFile(link.network), plainNetwork(link, network, boot)),
          ...(isBootCard(link) ? [bootCardFile(link)] : []),
        ]
      : bondFiles(link, link.bond, network, boot, bondName(node, link));
  });
}

/** The client identifier by MAC gives systemd the lease that firmware and initramfs had. */
const dhcpNetwork = `[Match]
Type=ether
Kind=!*

[Network]
DHCP=ipv4
IPv6AcceptRA=no
# The initramfs fetched the root over the address that is already here.
KeepConfiguration=yes

[DHCPv4]
ClientIdentifier=mac
UseHostname=no
SendHostname=no
`;

/** Whether a link is on the card that the node boots by, whichever that is. */
export function isBootCard(link: Link): boolean {
  return link.macs.length === 0 && link.path === undefined;
}

/** Names the card; the initramfs writes it, so that one boot set fits whatever machine is this node. */
function bootCardFile(link: Link): OverlayFile {
  return rootLink(`${linkFile(link.network)}.d/boot-card.conf`, '/run/rolecall/boot-card.conf');
}

function plainNetwork(link: Link, network: Network, boot: Link | undefined): string {
  return lines(
    '[Match]',
    'Type=ether',
    'Kind=!*',
    link.macs.length > 0 && `MACAddress=${link.macs.join(' ')}`,
    link.path !== undefined && `Path=${link.path}`,
    isBootCard(link) && '# MACAddress= of the card that it booted by is in boot-card.conf.',
    '',
    addressing(link, network, boot).trimEnd(),
  );
}

function addressing(link: Link, network: Network, boot: Link | undefined): string {
  return lines(
    // A cable that is out elsewhere must not hold up what waits for the network.
    link !== boot && '[Link]\nRequiredForOnline=no\n',
    '[Network]',
    `Address=${link.address}/${network.subnet.prefix}`,
    link.gateway && network.gateway !== undefined && `Gateway=${network.gateway}`,
    ...network.dns.map((server) => `DNS=${server}`),
    'LinkLocalAddressing=no',
    'IPv6AcceptRA=no',
    // The initramfs fetched the root over this address; taking it away would cut what is under way.
    'KeepConfiguration=static',
  );
}

function bondFiles(
  link: Link,
  mode: 'active-backup' | '802.3ad',
  network: Network,
  boot: Link | undefined,
  name: string,
): readonly OverlayFile[] {
  const netdev = lines(
    `# ${link.network}, ${formatCidr(network.subnet)}`,
    '[NetDev]',
    `Name=${name}`,
    'Kind=bond',
    // The MAC by which the node booted, so that its switch port and neighbours see no change.
    `MACAddress=${link.macs[0] ?? ''}`,
    '',
    '[Bond]',
    `Mode=${mode}`,
    'MIIMonitorSec=100ms',
    mode === '802.3ad' && 'LACPTransmitRate=fast',
    mode === '802.3ad' && 'TransmitHashPolicy=layer3+4',
  );
  // A slave takes the bond's MAC: only its permanent one still tells it apart.
  const slave = lines(
    '[Match]',
    'Type=ether',
    'Kind=!*',
    `PermanentMACAddress=${link.macs.join(' ')}`,
    '',
    '[Network]',
    `Bond=${name}`,
  );
  return [
    rootFile(`${dir}/05-${name}.netdev`, netdev),
    rootFile(`${dir}/06-${name}-slaves.network`, slave),
    rootFile(linkFile(link.network), `[Match]\nName=${name}\n\n${addressing(link, network, boot)}`),
  ];
}

function lines(...parts: readonly (string | false)[]): string {
  return `${parts.filter((part) => part !== false).join('\n')}\n`;
}
