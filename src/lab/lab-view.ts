import type { NodeStatus } from '../state/event.ts';
import type { LabReport } from './control.ts';
import type { LabFolder } from './lab-folder.ts';
import type { VmSpec } from './vm-spec.ts';

/** One machine of the lab as a person watches it. */
export interface LabRow {
  readonly status: NodeStatus;
  readonly firmware: string;
}

/** The rows of a report that are machines of this lab, in the order of its guests. */
export function labRows(report: LabReport): readonly LabRow[] {
  return report.guests.flatMap((guest) => {
    const status = report.rows.find((row) => isRowOf(row, guest));
    return status ? [{ status, firmware: guest.firmware.toUpperCase() }] : [];
  });
}

function isRowOf(row: NodeStatus, guest: VmSpec): boolean {
  return row.name === guest.name || guest.nics.some((nic) => row.mac.includes(nic.mac));
}

/** Whether every machine has arrived: it is ready, or it says why it is not. */
export function isSettled(report: LabReport): boolean {
  const rows = labRows(report);
  return (
    report.phase === 'running' &&
    rows.length > 0 &&
    rows.every(({ status }) => ['ready', 'failed', 'silent'].includes(status.stage))
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
  folder: LabFolder,
  program: string,
  stateOption: string,
): string {
  const rows = labRows(report).map((row) => row.status);
  const port = (address: string, service: string) =>
    report.ports[address]?.find((p) => p.service === service)?.host;
  const webs = rows.filter((row) => row.role.includes('web'));
  const other = webs.at(-1) ?? rows.at(-1);
  const first = webs[0] ?? rows[0];
  const spare = rows.find((row) => row.role.includes('spare'));
  const server = `${program} --site ${folder.site} --state ${folder.state}`;
  const lab = `${program}${stateOption} lab`;
  const lines = [
    'The lab is up. Look at it:',
    `  ${report.consoleUrl}`,
    ...webs.map((web) => `  curl http://127.0.0.1:${port(web.address, 'http')}/    # ${web.name}`),
    ...(first
      ? [
          `  ssh -i ${folder.key} -p ${port(first.address, 'ssh')} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@127.0.0.1    # ${first.name}`,
          `  ${lab} console ${first.name}    # its serial console; Ctrl-] leaves`,
        ]
      : []),
    ...(other
      ? [
          `Turn ${other.name} into a mail server:`,
          `  ${server} node set-role ${other.name} mail    # or edit ${folder.site}/nodes/${other.name}.yaml`,
          `  ${lab} reboot ${other.name}`,
          `  curl --url smtp://127.0.0.1:${port(other.address, 'smtp')} --mail-from you@example.net --mail-rcpt ops@lab.example -T README.md`,
        ]
      : []),
    ...(spare
      ? [
          `Give the machine that nobody knows a role; it is waiting for one:`,
          `  ${server} node add web3 --mac ${spare.mac[0]} --role web`,
        ]
      : []),
    'More:',
    `  ${lab} status`,
    `  ${lab} down`,
  ];
  return lines.join('\n');
}
