import { type Site, selectNodes } from '../site/site.ts';
import type { NodeStatus } from '../state/event.ts';
import type { LabReport } from './control.ts';
import { deadServices } from './dead-services.ts';
import type { LabFolder } from './lab-folder.ts';
import type { VmSpec } from './vm-spec.ts';

/** One machine of the lab as a person watches it. */
export interface LabRow {
  readonly status: NodeStatus;
  readonly firmware: string;
}

/** The rows of a report that are machines of this lab, in the order of its guests; none that was never on. */
export function labRows(report: LabReport): readonly LabRow[] {
  return report.guests.flatMap((guest) => {
    const status = report.rows.find((row) => isRowOf(row, guest));
    if (!status || (status.stage === 'absent' && report.off.includes(guest.name))) return [];
    return [{ status, firmware: guest.firmware.toUpperCase() }];
  });
}

/** Whether the boot server's row is that of this guest: a spare that became a node has another name. */
export function isRowOf(row: NodeStatus, guest: VmSpec): boolean {
  return row.name === guest.name || guest.nics.some((nic) => row.mac.includes(nic.mac));
}

/** Whether a machine has arrived: it works, or it says why not. */
export function hasArrived(status: NodeStatus | undefined): boolean {
  return ['ready', 'failed', 'silent'].includes(status?.stage ?? '');
}

/** Whether every machine that is to be on has arrived. */
export function isSettled(report: LabReport): boolean {
  const rows = labRows(report);
  return (
    report.phase === 'running' &&
    report.waiting.length === 0 &&
    rows.length > 0 &&
    rows.every(({ status }) => hasArrived(status))
  );
}

/** The cells of the watched table, under `columns`; times count from `now`, milliseconds since the epoch. */
export function renderRow({ status, firmware }: LabRow, now: number): readonly string[] {
  const seconds = status.since
    ? Math.max(0, Math.round((now - Date.parse(status.since)) / 1000))
    : 0;
  return [
    status.name,
    status.role.join(' '),
    firmware,
    status.address,
    status.stage,
    status.since ? `${seconds} s` : '',
    status.reason,
  ];
}

export const columns: readonly string[] = [
  'name',
  'role',
  'firmware',
  'address',
  'stage',
  'for',
  'note',
];

/** Lines for what has changed between two reports: `web1 (BIOS) root`. */
export function renderChanges(before: LabReport | undefined, now: LabReport): readonly string[] {
  const was = new Map((before ? labRows(before) : []).map((r) => [r.status.mac.join(), r.status]));
  return labRows(now).flatMap(({ status, firmware }) => {
    const old = was.get(status.mac.join());
    if (old?.stage === status.stage && old.name === status.name && old.reason === status.reason) {
      return [];
    }
    const role = status.role.length > 0 ? ` as ${status.role.join(' ')}` : '';
    const reason = status.reason ? `: ${status.reason}` : '';
    return [`${status.name} (${firmware}) ${status.stage}${role}${reason}`];
  });
}

/** What to try next, with commands that can be pasted. `program` is how rolecall was called. */
export function renderInvitation(
  report: LabReport,
  site: Site,
  folder: LabFolder,
  program: string,
  stateOption: string,
): string {
  const rows = labRows(report).map((row) => row.status);
  const having = (role: string) => rows.filter((row) => row.role.includes(role));
  const port = (address: string, service: string) =>
    report.ports[address]?.find((p) => p.service === service)?.host;
  const server = `${program} --site ${folder.site} --state ${folder.state}`;
  const lab = `${program}${stateOption} lab`;
  const [webs, balancers] = [having('web'), having('lb')];
  const first = webs[0] ?? rows[0];
  const parts: (readonly string[])[] = [
    [
      'The lab is up. Look at it:',
      `  ${report.consoleUrl}`,
      ...webs.map(
        (web) => `  curl http://127.0.0.1:${port(web.address, 'http')}/    # ${web.name}`,
      ),
      ...(first
        ? [
            `  ssh -i ${folder.key} -p ${port(first.address, 'ssh')} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@127.0.0.1    # ${first.name}`,
            `  ${lab} console ${first.name}    # its serial console; Ctrl-] leaves`,
          ]
        : []),
    ],
    balancers.length > 0 ? inviteToServices(report, site, balancers, lab) : [],
    inviteToVolumes(site, rows, server),
    inviteToMail(report, site, rows, server, lab),
    having('spare')
      .slice(0, 1)
      .flatMap((spare) => [
        'Give the machine that nobody knows a role; it is waiting for one:',
        `  ${server} node add web3 --mac ${spare.mac[0]} --role web`,
      ]),
    [
      'More:',
      ...(report.off.length > 0
        ? [`  ${lab} start ${report.off[0]}    # off: ${report.off.join(', ')}`]
        : []),
      `  ${server} status    # who is not ready, and why`,
      `  ${lab} status`,
      `  ${lab} down`,
    ],
  ];
  return parts.flat().join('\n');
}

/** The services whose address answers on a port of this machine, and what happens when a balancer is lost. */
function inviteToServices(
  { ports, off }: LabReport,
  site: Site,
  balancers: readonly NodeStatus[],
  lab: string,
): readonly string[] {
  const dead = deadServices(site, (node) => !off.includes(node));
  const starts = dead.map(
    ({ service, servers: [first] }) => `  ${lab} start ${first}    # ${service.name}`,
  );
  const alive = [...site.services.values()].filter((one) => dead.every((d) => d.service !== one));
  const pages = alive.flatMap(({ name, vip, ports: served }) =>
    [...vip.values()].flatMap((address) => {
      const page = ports[address]?.find((p) => p.service === 'http');
      if (!page || !served.includes(page.guest)) return [];
      return [`  curl http://127.0.0.1:${page.host}/    # ${name} at ${address}, by the balancers`];
    }),
  );
  const names = balancers.map(({ name }) => name);
  const loss = [
    'Pull the plug of a balancer: the other one takes the address.',
    `  ${lab} kill ${names[0]}    # and later: ${lab} start ${names[0]}`,
  ];
  return [
    ...(pages.length > 0
      ? ['A service follows whichever node works; ask it more than once:', ...pages]
      : []),
    ...(pages.length > 0 && names.length > 1 ? loss : []),
    ...(starts.length > 0
      ? ['Of these services no server is on, so the balancers call them dead:', ...starts]
      : []),
  ];
}

/** How the volumes are made whose nodes are on. */
function inviteToVolumes(
  { volumes }: Site,
  rows: readonly NodeStatus[],
  server: string,
): readonly string[] {
  const isOn = (name: string) => rows.some((row) => row.name === name);
  const here = [...volumes.values()].filter(({ nodes }) => nodes.every(isOn));
  if (here.length === 0) return [];
  return [
    'Make the volumes, once: their disks are blank. Until then what needs them says so, and fails.',
    ...here.map(({ name, at }) => `  ${server} volume create ${name}    # ${at} of its clients`),
    `  ${server} volume status`,
  ];
}

/** How a mail goes through, and how a web server becomes the mail server in place of a dead one, whose role file stays as it is. */
function inviteToMail(
  { ports, off }: LabReport,
  site: Site,
  rows: readonly NodeStatus[],
  server: string,
  lab: string,
): readonly string[] {
  const heir = rows.filter((row) => row.role.includes('web')).at(-1);
  const mailNode = [...site.nodes.values()].find((node) => node.roles.includes('mail'));
  const holders = [...site.volumes.values()]
    .filter(({ clients }) => mailNode && selectNodes(site, clients).includes(mailNode.name))
    .flatMap(({ nodes }) => nodes);
  const isOn = (name: string) => rows.some((row) => row.name === name);
  if (!heir || !holders.every(isOn)) return [];
  const service = [...site.services.values()].find(
    ({ ports: served, balancers }) =>
      served.includes(25) && selectNodes(site, balancers).some(isOn),
  );
  const address = [...(service?.vip.values() ?? [])][0] ?? heir.address;
  const port = (name: string) => ports[address]?.find((p) => p.service === name)?.host;
  const send = `  curl --url smtp://127.0.0.1:${port('smtp')} --mail-from you@example.net --mail-rcpt ops@lab.example -T README.md`;
  const read = `  curl --user ops@lab.example:lab --ssl-reqd --insecure 'imap://127.0.0.1:${port('imap')}/INBOX;MAILINDEX=*'`;
  const swap = [
    `  ${server} node set-role ${heir.name} mail`,
    `  ${lab} reboot ${heir.name}`,
    ...(mailNode
      ? [`  ${lab} start ${mailNode.name}    # it stands by: one node at a time has the mailboxes`]
      : []),
  ];
  if (!mailNode || off.includes(mailNode.name)) {
    const place = mailNode ? ` in place of ${mailNode.name}` : '';
    return [
      `Make ${heir.name} the mail server${place}:`,
      ...swap,
      'Send a mail, and read it, when it is ready:',
      ...[send, read],
    ];
  }
  return [
    ...[`Send a mail, and read it, when ${mailNode.name} is ready:`, send, read],
    `Lose ${mailNode.name}, and make ${heir.name} the mail server in its place:`,
    ...[`  ${lab} kill ${mailNode.name}`, ...swap],
    `When ${heir.name} is ready, the mail is still there:`,
    read,
  ];
}
