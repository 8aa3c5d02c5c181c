import { type Cidr, formatCidr, type Ipv4, ipv4FromNumber, ipv4ToNumber } from '../net/ipv4.ts';
import { isBetween } from './address-claims.ts';
import type { Network } from './site.ts';

/** What a new site is made from. */
export interface NewSite {
  /** A DNS label. */
  readonly name: string;
  readonly domain: string;
  /** A line of a `.pub` file. */
  readonly admin: string;
  readonly subnet: Cidr;
  /** This machine's address on the network. */
  readonly server: Ipv4;
  readonly gateway?: Ipv4;
  readonly dhcp: Network['dhcp'];
}

/** The text of a commented site.yaml that `check` accepts. */
export function renderNewSite(site: NewSite): string {
  const pool = site.dhcp === 'server' ? choosePool(site) : undefined;
  const lines: (readonly [text: string, comment: string])[] = [
    [
      '',
      'This file says what all machines share. What one machine is stands in nodes/<its name>.yaml.',
    ],
    ['', ''],
    [`site: ${site.name}`, ''],
    [`domain: ${site.domain}`, 'nodes are called <name>.<domain>'],
    ['', ''],
    [
      '',
      'Who may log in, as lines of a .pub file. Images hold no passwords: this is the only way in.',
    ],
    ['admins:', ''],
    [`  - ${quoteIfNeeded(site.admin)}`, ''],
    ['', ''],
    ['networks:', ''],
    ['  boot:', 'machines netboot here, because it names a boot server'],
    [`    subnet: ${formatCidr(site.subnet)}`, ''],
    [`    server: ${site.server}`, 'this machine: rolecall answers DHCP, TFTP and HTTP here'],
    site.gateway
      ? [`    gateway: ${site.gateway}`, '']
      : [
          '    ',
          'gateway: …  no default route was found; without one, nodes reach this network only',
        ],
    [`    dhcp: ${site.dhcp}`, 'server | proxy (another DHCP server gives the addresses) | off'],
    ...dhcpAdvice(site.dhcp),
    ...(pool ? [[`    pool: ${pool}`, 'for machines that no role file names'] as const] : []),
    ['', ''],
    [
      `unknown: ${pool || site.dhcp === 'proxy' ? 'spare' : 'ignore'}`,
      'what they become: spare (it shows its hardware and waits) or ignore',
    ],
  ];
  return `${lines.map(renderLine).join('\n')}\n`;
}

function dhcpAdvice(dhcp: Network['dhcp']): readonly (readonly [string, string])[] {
  if (dhcp === 'proxy') {
    return [['    ', 'Reserve the addresses of your role files in the other DHCP server, by MAC.']];
  }
  if (dhcp !== 'server') return [];
  return [
    [
      '    ',
      "Two DHCP servers on one network answer each other's clients: be sure it is the only one.",
    ],
  ];
}

function renderLine([text, comment]: readonly [string, string]): string {
  if (comment === '') return text;
  return text.trim() === '' ? `${text}# ${comment}` : `${text.padEnd(38)} # ${comment}`;
}

/** A key's comment may hold what YAML reads as its own. */
function quoteIfNeeded(text: string): string {
  return /: | #|:$/.test(text) ? `'${text.replaceAll("'", "''")}'` : text;
}

/** Up to 50 addresses in the upper part of the network, without server and gateway; none in a tiny network. */
function choosePool({ subnet, server, gateway }: NewSite): string | undefined {
  const size = 2 ** (32 - subnet.prefix);
  if (size < 16) return undefined;
  const count = Math.min(50, Math.floor(size / 4));
  const base = ipv4ToNumber(subnet.base);
  // The usual place first (.200-.249 of a /24), then downwards.
  for (let end = Math.floor((size * 250) / 256) - 1; end - count > 0; end -= count) {
    const pool = {
      first: ipv4FromNumber(base + end - count + 1),
      last: ipv4FromNumber(base + end),
    };
    const clash = [server, gateway].some((address) => address && isBetween(address, pool));
    if (!clash) return `${pool.first}-${pool.last}`;
  }
  return undefined;
}

/** What stands in the folder of the role files until the first one does. */
export const nodesReadme = `# One file for each machine

\`nodes/web1.yaml\`, the role file of web1:

\`\`\`yaml
mac: 52:54:00:00:00:11     # how the boot server knows the machine
address: 10.77.0.11        # what it has on the one network that contains this address
role: web                  # one of the roles, or a list of them; rolecall role ls
\`\`\`

\`rolecall node add --mac 52:54:00:00:00:11 --role web\` writes one, with the next free name and address.
`;
