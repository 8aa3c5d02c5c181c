import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { healthSchema } from '../../src/http/api-schemas.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { storeImage } from '../stored-image.ts';
import { createDhcpSegment, type DhcpSegment } from './dhcp-segment.ts';
import type { FollowedProgram } from './followed-program.ts';
import { runUdhcpc } from './udhcpc.ts';

const siteYaml = `site: full
domain: full.example
admins: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJDqR3W2M8BGYYGlFiRkaqiJ2vJ9QmL0CE9OF5yH13/3 test]
networks:
  boot: {subnet: 10.77.0.0/24, server: 10.77.0.1, dhcp: server, pool: 10.77.0.200-10.77.0.249}
`;
const node = '52:54:00:00:00:22';
const main = join(import.meta.dirname, '../../src/main.ts');

let segment: DhcpSegment;
let state: string;
let site: string;
let server: FollowedProgram;

beforeAll(async () => {
  segment = await createDhcpSegment();
  [site, state] = [join(segment.folder, 'site'), join(segment.folder, 'state')];
  await mkdir(join(site, 'nodes'), { recursive: true });
  await writeFile(join(site, 'site.yaml'), siteYaml);
  const roleFile = `mac: ${node}\naddress: 10.77.0.22\nrole: web\n`;
  await writeFile(join(site, 'nodes/web1.yaml'), roleFile);
  await mkdir(state);
  await runProgram('mount', ['-t', 'tmpfs', '-o', 'size=6m,mode=0700', 'tmpfs', state]);
  await storeImage(state);
  const args = [main, '--site', site, '--state', state, 'serve', '--no-admin'];
  server = segment.server.start(process.execPath, args);
  await server.line('it serves', (line) => line.startsWith('rolecall serves site full'));
});
afterAll(async () => {
  await server?.stop('SIGTERM');
  await runProgram('umount', ['--lazy', state], { accept: [1, 32] });
  await segment?.stop();
});

const admin = async (path: string) =>
  (
    await runProgram('curl', [
      ...['--silent', '--show-error', '--unix-socket', join(state, 'admin.sock')],
      `http://localhost${path}`,
    ])
  ).stdout;
const health = async () => healthSchema.parse(JSON.parse(await admin('/api/v1/health')));
const stateLines = () => server.lines.filter((line) => line.startsWith('state: '));

it('with a full state folder nothing is promised, all is said once, and it ends by itself', async () => {
  const first = await segment.addHost('52:54:00:00:09:01');
  expect((await runUdhcpc(first, segment.folder)).ip).toBe('10.77.0.200');
  expect((await health()).state.writable).toBe(true);
  expect(await admin('/metrics')).toContain('rolecall_state_writable 1\n');

  const filler = join(state, 'filler');
  await runProgram('sh', ['-c', `cat /dev/zero >${filler}`], { accept: [1] });
  const second = await segment.addHost('52:54:00:00:09:02');
  await expect(runUdhcpc(second, segment.folder, ['-t', '2'])).rejects.toThrow('no lease');
  const full = `${state}/rolecall.db cannot be written: its disk is full`;
  expect(stateLines()).toEqual([
    `state: ${full}. No machine is given an address of a pool, no boot begins and no secret is handed out until it can; nodes keep their addresses, and what runs goes on; make room: df -h ${state} shows how much there is`,
  ]);
  await server.line('why this machine waits', (line) =>
    line.includes(
      `52:54:00:00:09:02 spare-525400000902 refused by DHCP: it gets no answer, for its lease`,
    ),
  );
  expect(await health()).toMatchObject({
    status: 'degraded',
    problem: full,
    state: { writable: false, hint: `make room: df -h ${state} shows how much there is` },
  });
  expect(await admin('/metrics')).toContain('rolecall_state_writable 0\n');
  expect(await admin('/')).toContain('The state folder takes nothing');
  expect(await admin('/api/v1/events')).toContain('it gets no answer, for its lease');
  const ls = await runProgram(process.execPath, [main, '--state', state, 'node', 'ls']);
  expect(ls.stdout).toContain('web1');
  expect(ls.stderr).toContain(`rolecall: warning: ${full}; make room`);

  // An address that stands in a role file needs no disk, a boot does.
  const web1 = await segment.addHost(node);
  expect((await runUdhcpc(web1, segment.folder)).ip).toBe('10.77.0.22');
  const ask = ['--silent', `http://10.77.0.1/boot/script?mac=${node}`];
  const refusal = (await web1.run('curl', ask)).stdout;
  expect(refusal).toContain(`the boot server cannot keep this boot: ${full}`);
  expect(refusal).toMatch(/^#!ipxe\n/);

  await rm(filler);
  await vi.waitFor(async () => expect((await health()).status).toBe('ok'), 15_000);
  expect(stateLines()[1]).toMatch(/^state: what is to be remembered is on disk again, after \d+ s/);
  expect((await runUdhcpc(second, segment.folder)).ip).toBe('10.77.0.201');
  expect((await web1.run('curl', ask)).stdout).toContain('rolecall.address=10.77.0.22/24');
  expect(stateLines()).toHaveLength(2);
}, 120_000);
