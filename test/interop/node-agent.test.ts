import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FollowReport } from '../../src/http/boot-service.ts';
import { parseReport } from '../../src/http/report-body.ts';
import { packOverlay } from '../../src/roles/pack-overlay.ts';
import { runProgram } from '../../src/system/run-program.ts';

/**
 * The node's agent beside a boot server that the test plays, without a machine: below a scratch folder an
 * overlayfs is the node's root, a tmpfs its /run, and `systemctl` is what the test says.
 */
const scripts = new URL('../../roles/base/files/usr/lib/rolecall/', import.meta.url);
const unit = new URL('../systemd/system/rolecall-agent.service', scripts);
const booted = 'a'.repeat(64);
const wanted = 'b'.repeat(64);

let dir: string;
let server: Server;
let steps: string;
let tar: Uint8Array;
let reports: FollowReport[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rolecall-agent-'));
  for (const folder of ['bin', 'lib', 'run', 'image/etc', 'tmpfs', 'node']) {
    await mkdir(join(dir, folder), { recursive: true });
  }
  for (const name of ['agent', 'boot-set', 'reporting', 'report']) {
    const text = await readFile(new URL(name, scripts), 'utf8');
    const here = text
      .replaceAll('/run/', `${dir}/run/`)
      .replaceAll('/usr/lib/rolecall/', `${dir}/lib/`);
    await writeFile(join(dir, 'lib', name), here, { mode: 0o755 });
  }
  await writeFile(join(dir, 'image/etc/app.conf'), 'as in the image\n');
  reports = [];
  server = createServer((request, response) => {
    if (request.url === `/boot/follow/boot1/${wanted}` && steps !== '') return response.end(steps);
    if (request.url?.startsWith('/boot/overlay/')) return response.end(tar);
    if (request.method !== 'POST') return response.writeHead(404).end();
    let body = '';
    request.on('data', (part: Buffer) => {
      body += part.toString();
    });
    request.on('end', () => {
      const parsed = parseReport(JSON.parse(body));
      if (!parsed.ok) throw new Error(parsed.why);
      reports.push(parsed.report as FollowReport);
      response.end('action=none\n');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  server.close();
  await rm(dir, { recursive: true });
});

/** The site wants these files on the node, by their names in its /etc, those gone, and these units to act. */
async function want(
  files: Readonly<Record<string, string>>,
  { remove = [], act = [] }: { remove?: readonly string[]; act?: readonly string[] } = {},
): Promise<void> {
  const path = (name: string) => `${dir}/node/etc/${name}`;
  const packed = await packOverlay(
    Object.entries(files).map(([name, content]) => ({
      ...({ kind: 'file', path: path(name), mode: 0o644, uid: 0, gid: 0, content } as const),
    })),
  );
  tar = packed.bytes;
  steps = [
    `overlay ${packed.digest} ${tar.byteLength}`,
    ...Object.keys(files).map((name) => `write ${path(name)}`),
    ...remove.map((name) => `remove ${path(name)}`),
    ...act,
    '',
  ].join('\n');
}

/** Runs the lines on the node, where `follow` is the agent as systemd runs its unit; gives back what they print. */
async function onNode(lines: string, systemctl = 'true'): Promise<string> {
  await writeFile(
    join(dir, 'bin/systemctl'),
    `#!/bin/sh
case $1 in
  is-active) echo active; exit ;;
  is-system-running) echo running; exit ;;
esac
cd ${dir}
echo "$*: $(cat node/etc/app.conf)" >>acted
${systemctl}
`,
  );
  await chmod(join(dir, 'bin/systemctl'), 0o755);
  const { port } = server.address() as AddressInfo;
  const afterwards = /^ExecStopPost=.*rolecall\/(.*)$/m.exec(await readFile(unit, 'utf8'))?.[1];
  const script = `
cd ${dir} && PATH=${dir}/bin:$PATH etc=${dir}/node/etc
mount -t tmpfs -o size=256k,mode=755 run run
mount -t tmpfs -o size=256k,mode=755 changes tmpfs
mkdir -p tmpfs/files tmpfs/work run/rolecall/root${dir}
mount -t overlay -o lowerdir=image,upperdir=tmpfs/files,workdir=tmpfs/work node node
ln -s ${dir}/image run/rolecall/root${dir}/node
printf 'SERVER=http://127.0.0.1:${port}\\nBOOT=boot1\\nSET=${booted}\\n' >run/rolecall/boot
echo ${wanted} >run/rolecall/wanted
echo 'as booted' >node/etc/app.conf
follow() {
  mkdir -p run/rolecall-agent
  ${dir}/lib/agent >>log 2>&1 &
  echo $! >agent.pid
  wait $!
  code=$?
  [ $code -eq 0 ] && result=success || result=signal
  ${afterwards === undefined ? '' : `SERVICE_RESULT=$result ${dir}/lib/${afterwards} >>log 2>&1`}
  rm -rf run/rolecall-agent
}
fill() { dd if=/dev/zero of="$1/fill" bs=4k 2>/dev/null; }
state() { (cd $etc && grep -r . . | sort; ls -A .) ; cat ${dir}/run/rolecall/set 2>/dev/null || true; }
${lines}
`;
  const args = ['--mount', '--propagation', 'private', 'sh', '-c', script];
  return (await runProgram('unshare', args, { timeout: 25_000 })).stdout.trim();
}

const before = ['./app.conf:as booted', 'app.conf'].join('\n');
const acted = async () => (await readFile(join(dir, 'acted'), 'utf8')).trim().split('\n');

test('new files are in force before the units act, and nothing is left beside them', async () => {
  await want({ 'app.conf': 'new\n', added: 'x\n' }, { act: ['reload app.service'] });
  expect(await onNode('follow; state')).toBe(
    ['./added:x', './app.conf:new', 'added', 'app.conf', wanted].join('\n'),
  );
  expect(await acted()).toEqual(['reload-or-restart app.service: new']);
  expect(reports).toMatchObject([{ stage: 'followed', set: wanted }]);
});

test("what the site takes away is the image's own again", async () => {
  await want({}, { remove: ['app.conf', 'deep/er/note'] });
  expect(await onNode('mkdir -p $etc/deep/er; echo z >$etc/deep/er/note; follow; state')).toBe(
    ['./app.conf:as in the image', 'app.conf', wanted].join('\n'),
  );
});

describe('what a unit refuses', () => {
  test('is not in force any more', async () => {
    await want({ 'app.conf': 'new\n', added: 'x\n' }, { act: ['reload app.service'] });
    const refuses = 'grep -q booted node/etc/app.conf || { echo "line 1"; exit 1; }';
    expect(await onNode('follow; state', refuses)).toBe(before);
    expect(await acted()).toEqual([
      'reload-or-restart app.service: new',
      'reload-or-restart app.service: as booted',
    ]);
    const reason = 'reload app.service: line 1; the files that were there are back';
    expect(reports).toMatchObject([{ stage: 'follow-failed', set: wanted, reason }]);
  });

  test('is not in force any more where its log has filled the disk', async () => {
    await want({ 'app.conf': 'new\n' }, { act: ['reload app.service'] });
    const refuses = `[ -e node/fill ] || dd if=/dev/zero of=node/fill bs=4k 2>/dev/null
      grep -q booted node/etc/app.conf || { echo "line 1"; exit 1; }`;
    expect(await onNode('follow; state', refuses)).toBe(before);
    const reason = 'reload app.service: line 1; the files that were there are back';
    expect(reports).toMatchObject([{ stage: 'follow-failed', set: wanted, reason }]);
  });
});

describe('an agent that is ended', () => {
  const kill = 'grep -q booted node/etc/app.conf || kill -KILL $(cat agent.pid)';

  test('leaves the node as it was, and the server is told', async () => {
    await want(
      { 'app.conf': 'new\n', added: 'x\n' },
      { remove: ['gone'], act: ['reload app.service'] },
    );
    expect(await onNode('echo y >$etc/gone; follow; state', kill)).toBe(
      ['./app.conf:as booted', './gone:y', 'app.conf', 'gone'].join('\n'),
    );
    expect(await acted()).toEqual([
      'reload-or-restart app.service: new',
      'reload-or-restart app.service: as booted',
    ]);
    expect(reports).toMatchObject([
      {
        stage: 'follow-failed',
        set: wanted,
        reason: 'the agent was ended (signal); the files that were there are back',
      },
    ]);
  });
});
