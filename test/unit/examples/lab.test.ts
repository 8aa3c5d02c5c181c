import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { LabReport } from '../../../src/lab/control.ts';
import { hostPorts } from '../../../src/lab/host-ports.ts';
import { labFolder } from '../../../src/lab/lab-folder.ts';
import { renderInvitation } from '../../../src/lab/lab-view.ts';
import { planGuests } from '../../../src/lab/vm-spec.ts';
import { warnings } from '../../../src/roles/check-fleet.ts';
import { loadFleet } from '../../../src/roles/load-fleet.ts';
import { setRole } from '../../../src/site/edit-role-file.ts';
import type { NodeStatus } from '../../../src/state/event.ts';

const example = join(import.meta.dirname, '../../../examples/lab');

async function withRoles(roles: Readonly<Record<string, string>>) {
  const edited = Object.entries(roles).map(async ([node, role]) => {
    const file = `nodes/${node}.yaml`;
    return [file, setRole(await readFile(join(example, file), 'utf8'), [role])] as const;
  });
  return loadFleet(example, { edited: new Map(await Promise.all(edited)) });
}

const fleet = await withRoles({});
if (!fleet.ok) throw new Error(JSON.stringify(fleet.problems));
const { site } = fleet.value;
const guests = planGuests(site, { spares: 1, memory: 512 });
const spare = 'spare-525400770099';

describe('the site of the lab', () => {
  it('has nothing to be warned of', () => {
    expect(warnings(fleet.value)).toEqual([]);
  });

  it('lets web2 be the mail server while mail1 is one, and says that one of them stands by', async () => {
    const both = await withRoles({ web2: 'mail' });
    if (!both.ok) throw new Error(JSON.stringify(both.problems));
    const told = warnings(both.value).map(({ message }) => message);
    expect(new Set(told)).toEqual(
      new Set([
        'mail1, web2 have the role mail: one at a time uses /srv/mail on the volume mail, and another takes over when it is lost',
      ]),
    );
  });
});

/** All of them on but those in `off`. */
function report(off: readonly string[]): LabReport {
  const rows = guests.map(
    (guest): NodeStatus => ({
      name: guest.name,
      role: site.nodes.get(guest.name)?.roles ?? ['spare'],
      mac: guest.nics.map((nic) => nic.mac),
      address: site.nodes.get(guest.name)?.links[0]?.address ?? '10.77.0.200',
      stage: off.includes(guest.name) ? 'absent' : 'ready',
      ...{ since: '', bootSet: '', image: '', reason: '' },
    }),
  );
  const vips = [...site.services.values()].flatMap(({ vip }) => [...vip.values()]);
  const addresses = [
    ...vips,
    ...[...site.nodes.values()].flatMap((n) => n.links[0]?.address ?? []),
  ];
  const ports = Object.fromEntries(addresses.map((address) => [address, hostPorts(address)]));
  return {
    ...{ phase: 'running', step: '', problem: '', consoleUrl: 'http://127.0.0.1:8470/' },
    ...{ guests, rows, off, waiting: [], ports },
  };
}

const invitation = (off: readonly string[]) =>
  renderInvitation(report(off), site, labFolder('/l'), 'bin/rolecall', ' --state /s')
    .split('\n')
    .map((line) => line.trim());
const server = 'bin/rolecall --site /l/site --state /l/state';

describe('what the lab invites to', () => {
  it('is all of it where all are on', () => {
    const lines = invitation([]);
    for (const line of [
      'curl http://127.0.0.1:8111/    # web1',
      'curl http://127.0.0.1:8180/    # www at 10.77.0.80, by the balancers',
      'bin/rolecall --state /s lab kill lb1    # and later: bin/rolecall --state /s lab start lb1',
      `${server} volume create www    # /srv/www/files of its clients`,
      `${server} volume create mail    # /srv/mail of its clients`,
      'bin/rolecall --state /s lab kill mail1',
      `${server} node set-role web2 mail`,
      'bin/rolecall --state /s lab reboot web2',
      'bin/rolecall --state /s lab start mail1    # it stands by: one node at a time has the mailboxes',
      'curl --url smtp://127.0.0.1:25025 --mail-from you@example.net --mail-rcpt ops@lab.example -T README.md',
      `${server} node add web3 --mac 52:54:00:77:00:99 --role web`,
    ]) {
      expect(lines).toContain(line);
    }
    expect(lines.join('\n')).not.toContain('undefined');
  });

  it('lets a mail be sent before the server is lost that takes it, and read on both', () => {
    const lines = invitation([]);
    const places = ['volume create mail', 'smtp://', 'imap://', 'kill mail1', 'set-role web2 mail'];
    const found = places.map((word) => lines.findIndex((line) => line.includes(word)));
    expect(found).toEqual(found.toSorted((a, b) => a - b));
    const last = lines.findLastIndex((line) => line.includes('imap://'));
    expect(last).toBeGreaterThan(found.at(-1) ?? 0);
    const alone = invitation(['mail1']);
    expect(alone.filter((line) => line.includes('imap://'))).toHaveLength(1);
    expect(alone.join('\n')).not.toContain('kill mail1');
  });

  it('names who is off, and asks for nothing that is not there', () => {
    const said = invitation(['lb2', 'nfs1', 'nfs2', 'mail1', spare]).join('\n');
    expect(said).toContain('lab start lb2    # off: lb2, nfs1, nfs2, mail1, spare-525400770099');
    expect(said).not.toContain('lab kill');
    expect(said).not.toContain('volume create');
    expect(said).not.toContain('node add');
    expect(said).not.toContain('set-role web2 mail');
  });

  it('says why balancers fail where no server of a service is on, and how it comes', () => {
    expect(invitation([]).join('\n')).not.toContain('no server is on');
    const lines = invitation(['web1', 'web2']);
    const why = lines.indexOf(
      'Of these services no server is on, so the balancers call them dead:',
    );
    expect(lines[why + 1]).toBe('bin/rolecall --state /s lab start web1    # www');
    expect(lines.join('\n')).not.toContain('8180');
    expect(lines.join('\n')).not.toContain('start mail1    # mail');
  });
});
