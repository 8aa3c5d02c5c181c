import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Report } from '../../../src/http/boot-service.ts';
import { parseReport } from '../../../src/http/report-body.ts';
import { openImageStore } from '../../../src/images/image-store.ts';
import { ensureImage } from '../../../src/lab/lab-image.ts';
import type { Fleet } from '../../../src/roles/fleet.ts';
import { packOverlay } from '../../../src/roles/pack-overlay.ts';
import { renderOverlay } from '../../../src/roles/render-overlay.ts';
import type { SiteNode } from '../../../src/site/site.ts';
import { ensureSecrets } from '../../../src/state/secrets.ts';
import { runProgram } from '../../../src/system/run-program.ts';
import { type RunningProgram, startProgram } from '../../../src/system/start-program.ts';
import { until } from './processes.ts';

const script = new URL('./node-namespace.sh', import.meta.url).pathname;
const recorder = new URL('./record-reports.ts', import.meta.url).pathname;
const bootId = '0123456789abcdef0123456789abcdef';
export const bootSet = 'c0ffee'.padEnd(64, '0');

/**
 * A node without a machine: the published image and the node's own overlay under systemd in namespaces.
 * What firmware, kernel and initramfs do is left out; units, services and the report agent are the real ones.
 */
export interface NamespacedNode {
  /** What its agent reported so far; a report that the server would refuse fails the test. */
  reports(): readonly Report[];
  /** Runs a shell command on the node; gives back what it prints, also where it fails. */
  sh(command: string): Promise<string>;
  /** Waits for a report after the first `from` ones. */
  report(what: string, holds: (report: Report) => boolean, from?: number): Promise<Report>;
  /** Whether the recorder answers in this way: see record-reports.ts. */
  answer(how: 'refuse' | 'reboot', on: boolean): void;
  /** Resolves when process 1 has ended. */
  readonly ended: Promise<unknown>;
  stop(): Promise<void>;
}

export async function startNode(
  images: string,
  site: string,
  fleet: Fleet,
  node: SiteNode,
): Promise<NamespacedNode> {
  await ensureImage(images, site, () => {});
  const store = openImageStore(images);
  const image = await store.resolve(node.image, 'amd64');
  if (!image) throw new Error(`no image ${node.image}`);
  const rendered = renderOverlay({ fleet, node, facts: image.manifest });
  if (!rendered.ok) throw new Error(JSON.stringify(rendered.problems, null, 2));

  const folder = mkdtempSync(join(tmpdir(), 'rolecall-node-'));
  const log = join(folder, 'log');
  writeFileSync(join(folder, 'overlay.tar'), (await packOverlay(rendered.files)).bytes);
  const secrets = await packOverlay(await ensureSecrets(folder, node.name, rendered.secrets));
  writeFileSync(join(folder, 'secrets.tar'), secrets.bytes);
  writeFileSync(
    join(folder, 'boot'),
    `SERVER=http://127.0.0.2:8080\nBOOT=${bootId}\nNODE=${node.name}\nSET=${bootSet}\nMAC=${node.id.macs[0] ?? ''}\n`,
  );
  const address = node.links[0]?.address ?? '127.0.0.3';
  const [layer] = image.manifest.root;
  if (!layer) throw new Error('the image has no root');
  const root = store.blobPath(layer.digest);
  const namespaces = ['--mount', '--net', '--pid', '--uts', '--ipc'];
  const holder = await startProgram(
    'unshare',
    [...namespaces, '--fork', '--kill-child', 'sh', script, folder, root, address],
    { log },
  );
  const programs: RunningProgram[] = [holder];
  const stop = async () => {
    for (const program of programs.reverse()) await program.stop(0);
    await until('the cgroups of the node are gone', 10, () =>
      runProgram('unshare', ['--mount', 'sh', script, folder, 'remove']).then(
        () => true,
        () => false,
      ),
    );
    await until('the mounts of the node are gone', 10, () => removed(folder));
  };
  try {
    let init = 0;
    await until('process 1 of the node runs', 10, () => {
      const children = `/proc/${holder.pid}/task/${holder.pid}/children`;
      init = Number(readFileSync(children, 'utf8').trim());
      return init > 0;
    });
    programs.push(
      await startProgram(
        'nsenter',
        [`--net=/proc/${init}/ns/net`, process.execPath, recorder, folder],
        { log },
      ),
    );
    const reports = () => readReports(folder);
    const enter = [
      `--target=${init}`,
      '--all',
      ...['root', 'wd'].map((o) => `--${o}=/proc/${init}/root`),
    ];
    return {
      reports,
      ended: holder.ended,
      stop,
      answer(how, on) {
        if (on) mkdirSync(join(folder, how));
        else rmSync(join(folder, how), { recursive: true });
      },
      async sh(command) {
        const { stdout, stderr } = await runProgram(
          'nsenter',
          [...enter, '/bin/sh', '-c', command],
          {
            accept: Array.from({ length: 255 }, (_, code) => code + 1),
            env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
          },
        );
        return `${stdout}${stderr}`;
      },
      async report(what, holds, from = 0) {
        let found: Report | undefined;
        const hint = () => `${what}; it reported ${JSON.stringify(reports().slice(from))}`;
        await until(what, 90, () => {
          found = reports().slice(from).find(holds);
          return found !== undefined;
        }).catch((error: unknown) => {
          throw new Error(`waited in vain: ${hint()}`, { cause: error });
        });
        if (!found) throw new Error(hint());
        return found;
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function readReports(folder: string): readonly Report[] {
  let text = '';
  try {
    text = readFileSync(join(folder, 'reports.jsonl'), 'utf8');
  } catch {
    return [];
  }
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const { url, body } = JSON.parse(line);
      const parsed = parseReport(JSON.parse(body));
      if (!parsed.ok || url !== `/report/${bootId}`) {
        throw new Error(`${url} ${body}: ${parsed.ok ? 'another path' : parsed.why}`);
      }
      return parsed.report;
    });
}

function removed(folder: string): boolean {
  try {
    rmSync(folder, { recursive: true, force: true });
    return true;
  } catch {
    return false;
  }
}
