import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { digestOf } from '../../src/digest.ts';
import { runProgram } from '../../src/system/run-program.ts';

/** The functions of the initramfs's /init, run by busybox ash outside a machine. */
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rolecall-init-'));
  await mkdir(join(folder, 'bin'));
  await runProgram('busybox', ['--install', '-s', join(folder, 'bin')]);
  // What /init keeps in /run goes to the scratch folder, and the buses it sees are there too.
  const init = new URL('../../src/guest/init', import.meta.url);
  const text = (await readFile(init, 'utf8'))
    .replaceAll('/run/', `${folder}/`)
    .replaceAll('/sys/bus/', `${folder}/bus/`);
  await writeFile(join(folder, 'init'), text);
});
afterAll(() => rm(folder, { recursive: true }));

/** Output of the lines, run where /init's functions are known; `$dir` is a scratch folder. */
async function ash(lines: string): Promise<string> {
  const script = [
    `. ${folder}/init`,
    `PATH=${folder}/bin dir=${folder}`,
    'print() { echo "$1"; }',
    lines,
  ].join('\n');
  const { stdout } = await runProgram('busybox', ['ash', '-c', script], { timeout: 15_000 });
  return stdout;
}

describe('kernel arguments', () => {
  const good = [
    'BOOTIF=01-52-54-00-AB-00-21',
    'rolecall.server=http://10.77.0.1:8080',
    'rolecall.node=web1',
    `rolecall.boot=${'ab'.repeat(16)}`,
    `rolecall.token=${'cd'.repeat(32)}`,
    `rolecall.set=${'ef'.repeat(32)}`,
    `rolecall.root=${'12'.repeat(32)}:134217728`,
    `rolecall.overlay=${'34'.repeat(32)}:10240`,
  ];
  const read = (args: readonly string[], then: string) =>
    ash(`read_arguments "$(cat <<'LINE'\n${args.join(' ')}\nLINE\n)"\n${then}`);

  test('a boot script of the server is understood', async () => {
    const line = [...good, 'rolecall.address=10.77.0.21/24', 'rolecall.gateway=10.77.0.1', 'quiet'];
    const shown = 'check_arguments && echo "$mac $server $root $address $gateway $writable"';
    expect(await read(line, shown)).toBe(
      `52:54:00:ab:00:21 http://10.77.0.1:8080 ${'12'.repeat(32)}:134217728 10.77.0.21/24 10.77.0.1 50%`,
    );
  });

  test('the address and the gateway may be missing', async () => {
    expect(await read(good, 'check_arguments && echo good')).toBe('good');
  });

  test('all that is missing is said at once', async () => {
    expect(await read(good.slice(2, 5), 'check_arguments || echo "$why"')).toBe(
      [
        'BOOTIF is missing',
        'rolecall.server is missing',
        'rolecall.set is missing',
        'rolecall.root is missing',
        'rolecall.overlay is missing',
      ].join(', '),
    );
  });

  test.each([
    ['rolecall.node', 'a;reboot'],
    ['rolecall.node', '$(touch$IFS$dir/owned)'],
    ['rolecall.server', 'http://10.0.0.1/`id`'],
    ['rolecall.server', 'ftp://10.0.0.1'],
    ['rolecall.root', `${'12'.repeat(32)}:`],
    ['rolecall.root', `${'12'.repeat(31)}:5`],
    ['rolecall.root', `${'12'.repeat(32)}:5,`],
    ['rolecall.root', `${'12'.repeat(32)}:5,../../etc:7`],
    ['rolecall.address', '10.77.0.21'],
    ['rolecall.writable', '50%,mode=0777'],
    ['BOOTIF', '01-52-54-00-ab-00-2g'],
  ])('%s=%s is refused, not run', async (name, value) => {
    const line = [...good.filter((arg) => !arg.startsWith(`${name}=`)), `${name}=${value}`];
    const shown = 'check_arguments || echo "$why"; [ ! -e $dir/owned ] || echo owned';
    expect(await read(line, shown)).toBe(`${name} is odd`);
  });

  test('a star in the line does not become file names', async () => {
    expect(await read([...good, 'rolecall.node=*'], 'cd /; echo "$node"')).toBe('*');
  });
});

describe('fetching', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  async function serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const body = 'the root of a node'.repeat(5000);
  const fetchAndVerify = (url: string, before = '') =>
    ash(
      `${before}
      why='' outlook=wait
      fetch ${url}/images/x $dir/file && verify $dir/file ${digestOf(body)} ${body.length}
      echo "$?: $outlook: $why"`,
    );

  test('what the server promised arrives', async () => {
    const url = await serve((_request, response) => response.end(body));
    expect(await fetchAndVerify(url)).toBe('0: change: ');
  });

  test('a body that is another one of the same length', async () => {
    const other = body.replace('t', 'T');
    const url = await serve((_request, response) => response.end(other));
    expect(await fetchAndVerify(url)).toBe(
      `1: change: has another SHA-256, ${digestOf(other).slice(0, 12)}...`,
    );
  });

  test('a body that ends early, by its own account', async () => {
    const url = await serve((_request, response) => response.end(body.slice(1)));
    expect(await fetchAndVerify(url)).toBe(`1: change: has 89999 bytes, not 90000`);
  });

  test('a connection that is cut in the middle', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': body.length });
      response.write(body.slice(0, 40_000), () => response.socket?.destroy());
    });
    expect(await fetchAndVerify(url)).toMatch(/^1: (wait|change): \S/);
  });

  test('a server that does not have it', async () => {
    const url = await serve((_request, response) => response.writeHead(404).end('no'));
    expect(await fetchAndVerify(url)).toBe(
      '1: change: server returned error: HTTP/1.1 404 Not Found',
    );
  });

  test('a server that is not there', async () => {
    const url = await serve(() => undefined);
    await new Promise((resolve) => servers.pop()?.close(resolve));
    expect(await fetchAndVerify(url)).toBe(
      "1: wait: can't connect to remote host (127.0.0.1): Connection refused",
    );
  });

  test('a server that falls silent in the middle', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': body.length });
      response.write(body.slice(0, 40_000));
    });
    expect(await fetchAndVerify(url, 'sleep() { command sleep 0.$1; }')).toBe(
      '1: wait: nothing came for 20 seconds',
    );
  });

  test('a server that is slow', async () => {
    const url = await serve(async (_request, response) => {
      response.writeHead(200, { 'content-length': body.length });
      for (let at = 0; at < body.length; at += 10_000) {
        response.write(body.slice(at, at + 10_000));
        await sleep(300);
      }
      response.end();
    });
    expect(await fetchAndVerify(url, 'sleep() { command sleep 0.$1; }')).toBe('0: change: ');
  });

  test('secrets are asked for with the token, and a used token means a new boot', async () => {
    const asked: (string | undefined)[] = [];
    const url = await serve((request, response) => {
      asked.push(request.headers.authorization, request.url);
      response.writeHead(403).end('used');
    });
    const output = await ash(
      `mkdir -p $dir/changes; stage=$dir server=${url} boot=b1 token=t1 why='' outlook=wait
      get_secrets; echo "$?: $outlook: $why"`,
    );
    expect(output).toBe('1: restart: refused, the token of this boot was used before');
    expect(asked).toEqual(['Bearer t1', '/boot/secrets/b1']);
  });

  test('a report is JSON, whatever its reason holds', async () => {
    const bodies: string[] = [];
    const url = await serve((request, response) => {
      request.setEncoding('utf8').on('data', (chunk: string) => bodies.push(chunk));
      request.on('end', () => response.end('action=none\n'));
    });
    await ash(
      `server=${url} boot=b1
      report failed "$(printf 'a "quoted" \\\\ and\\ttabs\\nlines')"
      report root`,
    );
    expect(bodies.map((text) => JSON.parse(text) as unknown)).toEqual([
      { stage: 'failed', uptime: expect.any(Number), reason: 'a quoted  and tabs lines' },
      { stage: 'root', uptime: expect.any(Number) },
    ]);
  });
});

describe('trying again', () => {
  const world = `sleep() { echo "sleep $1"; }
    reboot() { echo reboot; exit; }
    report() { :; }
    step() { n=$((n + 1)); why="try $n" outlook=$kind; [ $n -gt $successes_after ]; }
    n=0`;

  test('pauses double up to 30 s, for as long as the server is away', async () => {
    const output = await ash(`${world}\nkind=wait successes_after=12; persist 'root from U' step`);
    const pauses = [...output.matchAll(/^sleep (\d+)$/gm)].map((match) => Number(match[1]));
    expect(pauses).toEqual([1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30, 30]);
    expect(output.split('\n')[0]).toBe('rolecall: root from U: try 1; trying again in 1 s');
    expect(output).not.toContain('reboot');
  });

  test('what a server keeps refusing is asked for anew after ten tries', async () => {
    const output = await ash(
      `${world}\nkind=change successes_after=99; persist 'root from U' step`,
    );
    expect(output.split('\n').slice(-3)).toEqual([
      'rolecall: root from U: try 10; starting over in 10 s',
      'sleep 10',
      'reboot',
    ]);
  });

  test('a used token is not tried twice', async () => {
    const output = await ash(`${world}\nkind=restart successes_after=99; persist 'secrets' step`);
    expect(output).toBe('rolecall: secrets: try 1; starting over in 10 s\nsleep 10\nreboot');
  });
});

describe('drivers', () => {
  test('one modprobe loads them for all devices, the next only for new ones', async () => {
    const output = await ash(
      `modprobe() { echo "modprobe $*"; }
      device() { mkdir -p $dir/bus/$1/devices/$2; echo "$3" >$dir/bus/$1/devices/$2/modalias; }
      device pci 0000:00:01.0 pci:v00008086d00001237sv*
      device pci 0000:00:02.0 pci:v00001AF4d00001000
      device pci 0000:00:03.0 pci:v00001AF4d00001000
      load_drivers
      echo second; load_drivers
      device virtio virtio0 virtio:d00000001v00001AF4
      echo third; load_drivers`,
    );
    expect(output.split('\n')).toEqual([
      'modprobe -qa pci:v00001AF4d00001000 pci:v00008086d00001237sv*',
      'second',
      'third',
      'modprobe -qa virtio:d00000001v00001AF4',
    ]);
  });
});

describe('layers', () => {
  test('are fetched and mounted one by one, and stacked with the last one uppermost', async () => {
    const [lower, upper] = ['ab'.repeat(32), 'cd'.repeat(32)];
    const output = await ash(
      `persist() { shift; "$@" || echo "$1 failed: $why"; }
      fetch() { echo "fetch $1"; touch "$2"; }
      verify() { echo "verify \${1##*/} $(printf %.4s $2) $3"; }
      mount() { echo "mount $*" | sed "s|${folder}||g" >&3; }
      exec 3>&1
      stage=$dir/stage sysroot=/sysroot server=http://s
      root=${lower}:4097,${upper}:1; root_bytes=$(sum_of_layers); overlay_bytes=0
      mkdir -p $dir/stage/image; echo $root_bytes; get_root; rm -r $dir/stage`,
    );
    expect(output.split('\n')).toEqual([
      '12288',
      `fetch http://s/images/${lower}`,
      'verify 0.squashfs abab 4097',
      'mount -t squashfs -o loop,ro /stage/image/0.squashfs /stage/layers/0',
      expect.stringContaining('1 MiB, SHA-256 as expected'),
      `fetch http://s/images/${upper}`,
      'verify 1.squashfs cdcd 1',
      'mount -t squashfs -o loop,ro /stage/image/1.squashfs /stage/layers/1',
      expect.stringContaining('1 MiB, SHA-256 as expected'),
      'mount -t overlay -o lowerdir=/stage/layers/1:/stage/layers/0,upperdir=/stage/changes/files,workdir=/stage/changes/work root /sysroot',
      'mount -t overlay -o ro,lowerdir=/stage/layers/1:/stage/layers/0 image /stage/root',
    ]);
  });
});

describe('memory', () => {
  test('a root that does not fit is refused before it is fetched, with what is missing', async () => {
    const output = await ash(
      `awk() { echo 150; }
      root_bytes=134217728 overlay_bytes=1000; check_memory; echo "$outlook: $why"`,
    );
    expect(output).toBe(
      'change: needs 194 MiB of memory (128 root, 64 to run in), 150 MiB are free',
    );
  });
});

describe('unpacking', () => {
  /** In a mount namespace: an overlayfs over this machine's own root, so that its tar is there. */
  async function unpackOver(prepare: string, then: string): Promise<string> {
    const work = await mkdtemp(join(folder, 'unpack-'));
    const program = `. ${folder}/init
      dir=${work}; cd $dir; mkdir over sysroot changes; sysroot=$dir/sysroot
      mount -t tmpfs changes changes && mkdir changes/files changes/work
      mount -t overlay -o lowerdir=/,upperdir=changes/files,workdir=changes/work root sysroot || exit
      ${prepare}
      tar -C over -cf overlay.tar .
      unpack $dir/overlay.tar && remove_listed
      echo "$?: $why"
      cd sysroot; ${then}`;
    await writeFile(join(work, 'program'), program);
    const script = ['--mount', 'busybox', 'ash', join(work, 'program')];
    return (await runProgram('unshare', script, { timeout: 15_000 })).stdout;
  }

  test('modes, numeric owners and links arrive; links of the root stay', async () => {
    const output = await unpackOver(
      `mkdir -p over/etc/x over/lib/x over/var; echo 1 >over/etc/x/f; echo 2 >over/lib/x/g
      chown 4321:8765 over/etc/x/f; chmod 4751 over/etc/x/f; ln -s /etc/x/f over/etc/x/l`,
      `stat -c '%u:%g %a' etc/x/f; readlink etc/x/l; readlink lib; cat usr/lib/x/g`,
    );
    expect(output).toBe('0: \n4321:8765 4751\n/etc/x/f\nusr/lib\n2');
  });

  test('what /.rolecall/remove names is gone, and nothing outside the root', async () => {
    const output = await unpackOver(
      `mkdir -p over/.rolecall; echo keep >outside
      printf '/etc/hostname\\n/etc/no such\\n\\n/../../../../..%s/outside\\netc/passwd\\n' $dir \\
        >over/.rolecall/remove`,
      'ls -d etc/hostname etc/passwd .rolecall 2>&1 | grep -c "No such"; cat $dir/outside',
    );
    expect(output).toBe('0: \n3\nkeep');
  });

  test('an empty file is an empty archive', async () => {
    const output = await unpackOver('', ': >$dir/empty; unpack $dir/empty; echo $?');
    expect(output).toBe('0: \n0');
  });

  test('a broken archive is a failure with a reason', async () => {
    const output = await unpackOver(
      '',
      'echo no archive at all >$dir/odd; unpack $dir/odd; echo "$? $why"',
    );
    expect(output).toMatch(/^0: \n2 tar: .*not look like a tar archive$/);
  });
});

test('the node is told by which card it booted', async () => {
  const output = await ash(
    `mkdir -p ${folder}/rolecall
    mac=52:54:00:ab:00:21; write_boot_facts
    cat ${folder}/rolecall/boot-card.conf ${folder}/systemd/network/10-boot-card.link`,
  );
  const card = ['[Match]', 'MACAddress=52:54:00:ab:00:21'];
  expect(output.split('\n').slice(0, 6)).toEqual([...card, ...card, '[Link]', 'NamePolicy=']);
});
