import { appendFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Report } from '../../src/http/boot-service.ts';
import { parseReport } from '../../src/http/report-body.ts';
import { packOverlay } from '../../src/roles/pack-overlay.ts';
import { runProgram } from '../../src/system/run-program.ts';

const scripts = new URL('../../roles/base/files/usr/lib/rolecall/', import.meta.url);
const unit = new URL('../systemd/system/rolecall-agent.service', scripts);
export const booted = 'a'.repeat(64);
export const wanted = 'b'.repeat(64);

/**
 * A node's programs beside a boot server that the test plays, without a machine: below a scratch folder an
 * overlayfs is the node's root, a tmpfs its /run, and `systemctl` is what the test says.
 */
export interface ScratchNode {
  readonly dir: string;
  /** What the programs reported; one that the server would refuse fails the test. */
  readonly reports: readonly Report[];
  /** What units were told to do, and what the node's app.conf held by then. */
  acted(): Promise<readonly string[]>;
  /** What the server answers to the agent; it knows of nothing to follow to where `steps` is empty. */
  readonly answers: { steps: string; tar: Uint8Array; report: string };
  /** The site wants these files on the node, by their names in its /etc, those gone, and these units to act. */
  want(
    files: Readonly<Record<string, string>>,
    more?: { readonly remove?: readonly string[]; readonly act?: readonly string[] },
  ): Promise<void>;
  /**
   * Runs the lines on the node and gives back what they print: `follow` is the agent as systemd runs its unit,
   * `report WORDS` the reporter until a report has them, `state` the files of /etc and the set that
   * it runs, `fill FOLDER` leaves no room there.
   */
  run(lines: string, systemctl?: string): Promise<string>;
  remove(): Promise<void>;
}

export async function createScratchNode(): Promise<ScratchNode> {
  const dir = await mkdtemp(join(tmpdir(), 'rolecall-node-'));
  for (const folder of ['bin', 'lib', 'run', 'ready.d', 'image/etc', 'tmpfs', 'node']) {
    await mkdir(join(dir, folder), { recursive: true });
  }
  for (const name of ['agent', 'boot-set', 'reporting', 'report', 'hardware.awk']) {
    const text = (await readFile(new URL(name, scripts), 'utf8'))
      .replaceAll('/run/', `${dir}/run/`)
      .replaceAll('/usr/lib/rolecall/', `${dir}/lib/`)
      .replaceAll('/etc/rolecall/ready.d', `${dir}/ready.d`)
      .replace('period=10', 'period=1');
    await writeFile(join(dir, 'lib', name), text, { mode: 0o755 });
  }
  await writeFile(join(dir, 'image/etc/app.conf'), 'as in the image\n');

  const reports: Report[] = [];
  const answers: ScratchNode['answers'] = {
    steps: '',
    tar: new Uint8Array(),
    report: 'action=none',
  };
  const server = createServer((request, response) => {
    const { url = '', method } = request;
    if (url === `/boot/follow/boot1/${wanted}` && answers.steps !== '') {
      return response.end(answers.steps);
    }
    if (url.startsWith('/boot/overlay/')) return response.end(answers.tar);
    if (method !== 'POST') return response.writeHead(404).end();
    let body = '';
    request.on('data', (part: Buffer) => {
      body += part.toString();
    });
    request.on('end', () => {
      const parsed = parseReport(JSON.parse(body));
      if (!parsed.ok) throw new Error(parsed.why);
      reports.push(parsed.report);
      appendFileSync(join(dir, 'heard'), `${JSON.stringify(parsed.report)}\n`);
      response.end(`${answers.report}\n`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    dir,
    reports,
    answers,
    acted: async () => (await readFile(join(dir, 'acted'), 'utf8')).trim().split('\n'),
    async want(files, { remove = [], act = [] } = {}) {
      const path = (name: string) => `${dir}/node/etc/${name}`;
      const packed = await packOverlay(
        Object.entries(files).map(([name, content]) => ({
          ...({ kind: 'file', path: path(name), mode: 0o644, uid: 0, gid: 0, content } as const),
        })),
      );
      answers.tar = packed.bytes;
      answers.steps = [
        `overlay ${packed.digest} ${packed.bytes.byteLength}`,
        ...Object.keys(files).map((name) => `write ${path(name)}`),
        ...remove.map((name) => `remove ${path(name)}`),
        ...act,
        '',
      ].join('\n');
    },
    async run(lines, systemctl = 'true') {
      await writeFile(join(dir, 'bin/systemctl'), renderSystemctl(dir, systemctl), { mode: 0o755 });
      const afterwards = /^ExecStopPost=.*rolecall\/(.*)$/m.exec(await readFile(unit, 'utf8'))?.[1];
      const script = `
cd ${dir} && PATH=${dir}/bin:$PATH etc=${dir}/node/etc
mount -t tmpfs -o size=256k,mode=755 run run
mount -t tmpfs -o size=256k,mode=755 changes tmpfs
mkdir -p tmpfs/files tmpfs/work run/rolecall/root${dir}
mount -t overlay -o lowerdir=image,upperdir=tmpfs/files,workdir=tmpfs/work node node
ln -s ${dir}/image run/rolecall/root${dir}/node
printf 'SERVER=http://127.0.0.1:${port}\\nBOOT=boot1\\nSET=${booted}\\n' >run/rolecall/boot
echo 'as booted' >node/etc/app.conf
follow() {
  echo ${wanted} >run/rolecall/wanted
  mkdir -p run/rolecall-agent
  [ -z "\${full-}" ] || fill run
  ${dir}/lib/agent >>log 2>&1 &
  echo $! >agent.pid
  wait $!
  code=$?
  [ $code -eq 0 ] && result=success || result=signal
  ${afterwards === undefined ? '' : `SERVICE_RESULT=$result ${dir}/lib/${afterwards} >>log 2>&1`}
  rm -rf run/rolecall-agent
}
report() {
  mkdir -p run/rolecall-report
  [ -z "\${full-}" ] || fill run
  setsid ${dir}/lib/report >>log 2>&1 &
  until grep -q "$1" heard 2>/dev/null; do sleep 0.1; done
  kill -- -$!
}
fill() { dd if=/dev/zero of="$1/fill" bs=4k 2>/dev/null; }
state() { (cd $etc && grep -r . . | sort; ls -A .) ; cat ${dir}/run/rolecall/set 2>/dev/null || true; }
${lines}
`;
      // With the first of its processes all end, whatever the test ran into.
      const apart = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child'];
      const args = [...apart, 'sh', '-c', script];
      return (await runProgram('unshare', args, { timeout: 25_000 })).stdout.trim();
    },
    async remove() {
      server.closeAllConnections();
      server.close();
      await rm(dir, { recursive: true });
    },
  };
}

function renderSystemctl(dir: string, lines: string): string {
  return `#!/bin/sh
case $1 in
  is-active) echo active; exit ;;
  # Else the reporter would wait for units that start.
  is-system-running) [ "\${2-}" != --wait ] || exit 124; echo running; exit ;;
esac
cd ${dir}
echo "$*: $(cat node/etc/app.conf)" >>acted
${lines}
`;
}
