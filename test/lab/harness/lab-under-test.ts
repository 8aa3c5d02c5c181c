import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'vitest';
import { labFolder } from '../../../src/lab/lab-folder.ts';
import { withoutPxe } from '../../../src/lab/qemu-args.ts';
import type { Scenario } from '../../../src/lab/scenario.ts';
import { type ScenarioOptions, withLab } from '../../../src/lab/with-lab.ts';
import { loadSite } from '../../../src/site/load-site.ts';
import { runProgram } from '../../../src/system/run-program.ts';
import { commandLine, until } from './processes.ts';

const state =
  process.env.ROLECALL_STATE ??
  (process.getuid?.() === 0
    ? '/var/lib/rolecall'
    : join(process.env.XDG_STATE_HOME ?? join(homedir(), '.local/state'), 'rolecall'));

/** Where guests' images are built and kept between runs: where `npm run lab` has them, so that neither builds twice. */
export const images = labFolder(join(state, 'lab')).builds;

/** Two web servers and no services: what most tests with guests boot. */
export const websSite = resolve(import.meta.dirname, '../sites/webs');

/** Runs a scenario on real guests, each a machine with no more than blank disks; logs of one that fails are kept under test-results/. */
export function labScenario<T>(
  options: Omit<ScenarioOptions, 'images' | 'site' | 'keep' | 'report'> &
    Partial<Pick<ScenarioOptions, 'images' | 'site'>>,
  run: (scenario: Scenario) => Promise<T>,
): Promise<T> {
  return withLab(
    {
      images,
      site: websSite,
      ...options,
      keep: resolve(import.meta.dirname, '../../../test-results/lab'),
      report: (line) => process.stderr.write(`lab: ${line}\n`),
    },
    async (scenario) => {
      const site = await loadSite(scenario.site);
      if (!site.ok) throw new Error(JSON.stringify(site.problems));
      for (const { name } of scenario.lab.plan.guests) {
        const ordered = options.hardware?.[name]?.disks?.map((disk) => disk.serial);
        const volumes = [...site.value.volumes.values()].filter((v) => v.nodes.includes(name));
        const serials = ordered ?? volumes.map((v) => v.device.split('/virtio-')[1] ?? '');
        await expectBareMachine(scenario, name, serials);
      }
      return run(scenario);
    },
  );
}

/**
 * What a guest's QEMU really was given: no kernel, nothing but firmware, network cards and, where its
 * volumes need them, disks that were blank when the lab began.
 */
async function expectBareMachine(
  scenario: Scenario,
  guest: string,
  serials: readonly string[],
): Promise<void> {
  const pid = scenario.lab.guest(guest)?.pid ?? 0;
  // The process is a launcher until it has become QEMU.
  await until(`${guest} is QEMU`, 20, () => commandLine(pid)[0]?.includes('qemu-system') === true);
  const args = commandLine(pid);
  expect(args).toContain('-nodefaults');
  for (const flag of ['-kernel', '-initrd', '-append', '-hda', '-cdrom', '-blockdev']) {
    expect(args).not.toContain(flag);
  }
  const values = (flag: string) => args.filter((_, i) => args[i - 1] === flag);
  // All that firmware may be told: to leave PXE out.
  for (const word of values('-fw_cfg')) expect(withoutPxe).toContain(word);
  const drives = values('-drive').filter((drive) => !drive.startsWith('if=pflash,'));
  expect(drives).toHaveLength(serials.length);
  for (const [i, serial] of serials.entries()) {
    expect(drives[i]).toMatch(/^if=none,/);
    expect(drives[i]).toMatch(new RegExp(`file=${scenario.lab.disk(guest, serial)}$`));
  }
}

/** Whether a guest's console has said this; it has said nothing before QEMU runs. */
export async function saysOn(scenario: Scenario, guest: string, text: string): Promise<boolean> {
  const said = await scenario.console(guest).catch(() => '');
  return said.includes(text);
}

/** The digest of the image that a row says its node runs, and its boot set's. */
export async function runs(scenario: Scenario, node: string) {
  const { image, bootSet, role } = await scenario.row(node);
  return { image, bootSet, role };
}

/** Sends a mail by SMTP as any client would, with curl. */
export async function sendMail(port: number, to: string, text: string): Promise<void> {
  await runProgram(
    'curl',
    [
      ...['--silent', '--show-error', '--max-time', '60'],
      ...['--url', `smtp://127.0.0.1:${port}/client.example.net`],
      ...['--mail-from', 'someone@example.net', '--mail-rcpt', to],
      ...['--upload-file', '-'],
    ],
    { input: text.replaceAll('\n', '\r\n') },
  );
}

/** The newest mail in a user's INBOX, by IMAP with STARTTLS and curl; empty where there is none. */
export async function readMail(port: number, user: string, password: string): Promise<string> {
  const { stdout } = await runProgram(
    'curl',
    [
      ...['--silent', '--show-error', '--max-time', '60', '--user', `${user}:${password}`],
      // Whose the certificate is, the mail server's own tests ask.
      ...['--ssl-reqd', '--insecure'],
      `imap://127.0.0.1:${port}/INBOX;MAILINDEX=*`,
    ],
    // 78 is "remote file not found", 8 a refused FETCH: an empty mailbox has no newest mail.
    { accept: [78, 8] },
  );
  return stdout;
}
