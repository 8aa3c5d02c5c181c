import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Scenario } from '../../src/lab/scenario.ts';
import { startProgram } from '../../src/system/start-program.ts';
import { documentedCommands, packInstallation, withReplaced } from './harness/installation.ts';
import { labScenario } from './harness/lab-under-test.ts';

// The host has neither 8021q nor systemd as its process 1: the boot server and its VLANs are in a guest.
const machine = 'web1';
const scripts = new URL('./harness/guest/', import.meta.url);
const programs = ['rack', 'take-lease', 'networkd-in', 'try-outside'];

it('a boot server installed as the docs say serves two VLANs as an ordinary user in a sandbox', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rc-installation-'));
  try {
    await packInstallation(folder);
    await cp(scripts, join(folder, 'scripts'), { recursive: true });
    await labScenario(
      {
        ...{ name: 'boot-server-guest', only: [machine], memory: 1536 },
        // Port 80 is the boot server's.
        edit: async (site) => {
          const file = join(site, 'nodes', `${machine}.yaml`);
          await writeFile(file, (await readFile(file, 'utf8')).replace('role: web', 'role: spare'));
        },
      },
      (lab) => run(lab, folder),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}, 900_000);

async function run(lab: Scenario, folder: string): Promise<void> {
  await lab.waitStage(machine, 'ready');
  let since = Date.now();
  const took = (what: string) => {
    process.stderr.write(`lab: ${what}: ${((Date.now() - since) / 1000).toFixed(1)} s\n`);
    since = Date.now();
  };
  const sh = (script: string, seconds = 60) => lab.ssh(machine, `set -eu\n${script}`, seconds);

  await bringFiles(lab, folder, sh);
  took('files of the installation');
  await sh('/usr/local/bin/rack');
  const vlan10 = documentedCommands('Network').filter(isOfVlan).join('\n');
  expect(vlan10).toContain('type vlan id 10\n');
  await sh(`${vlan10}\n${vlan10.replaceAll('10', '20').replaceAll('20.78', '10.78')}`);
  await sh(
    `cd /root; export NODE_COMPILE_CACHE=/root/compiled; ssh-keygen -q -t ed25519 -N '' -f KEY
${withReplaced(documentedCommands('Install'), {
  'apt-get install': 'cp /root/libatomic.so.1 /usr/lib/x86_64-linux-gnu/',
  'git clone': '',
  'cd /opt/rolecall && npm ci': '',
  'rolecall init /etc/rolecall --interface eth1 ':
    'rolecall init /etc/rolecall --interface eth1.10 --name tokyo --admin KEY.pub',
  'rolecall --site /etc/rolecall check': `sed -i '/^unknown:/i\\${secondNetwork}' /etc/rolecall/site.yaml
rolecall --site /etc/rolecall check`,
  'rolecall --site /etc/rolecall build': 'tar -x -C /var/lib/rolecall -f /root/images.tar',
})}`,
    patience,
  );
  took('install');
  await aStartThatFailsSaysWhy(sh);
  took('a start that fails');
  await sh(
    `systemctl start rolecall || {
      journalctl -u rolecall -o cat --no-pager | tail -n 20 >&2
      exit 1
    }`,
    patience,
  );
  took('start');
  await runsAsMeant(sh);
  await boots(10, sh);
  await boots(20, sh);
  await hearsItsOwnVlansOnly(sh);
  took('clients');
}

/** Seconds for what starts Node: emulated it takes 20 s to compile the server, on a busy machine minutes. */
const patience = 300;

type Shell = (script: string, seconds?: number) => Promise<string>;

/** A line of site.yaml; JSON is YAML, and so is this. */
const secondNetwork =
  '  second: {subnet: 10.78.20.0/24, server: 10.78.20.1, dhcp: server, pool: 10.78.20.200-10.78.20.249}';

const isOfVlan = (line: string) => /8021q|eth1\.10/.test(line);

/** By HTTP from beside the lab's boot server: ssh would take ten times as long under emulation. */
async function bringFiles(lab: Scenario, folder: string, sh: Shell): Promise<void> {
  const files = await startProgram(
    ...lab.lab.network.inside('busybox', [
      ...['httpd', '-f', '-p', '10.77.0.1:8080', '-h', folder],
    ]),
    { log: join(lab.lab.folder.root, 'files.log') },
  );
  try {
    await sh(`mkdir /opt/rolecall
      from=http://10.77.0.1:8080
      for tar in checkout modules; do curl -sf $from/$tar.tar | tar -x --no-same-owner -C /opt/rolecall; done
      for file in libatomic.so.1 images.tar; do curl -sf $from/$file -o /root/$file; done
      for file in ${programs.join(' ')}; do
        curl -sf $from/scripts/$file -o /usr/local/bin/$file
        chmod +x /usr/local/bin/$file
      done`);
  } finally {
    await files.stop();
  }
}

/** The first start, with another program on port 80, and with a look at what the sandbox lets through. */
async function aStartThatFailsSaysWhy(sh: Shell): Promise<void> {
  await sh('systemd-run --quiet --unit squatter busybox httpd -f -p 10.78.10.1:80 -h /run');
  await sh(`mkdir /etc/systemd/system/rolecall.service.d
    printf '[Service]\nExecStartPre=/usr/local/bin/try-outside\nRestart=no\n' >/etc/systemd/system/rolecall.service.d/try.conf`);
  const said = await sh(
    `(${documentedCommands('Start').join('\n')}) && exit 3
    systemctl show -P ActiveState rolecall
    journalctl -u rolecall -o cat --no-pager`,
    patience,
  );
  expect(said).toMatch(/^failed\n/);
  expect(said).toContain('HTTP cannot listen on 10.78.10.1:80/tcp: another program does');

  const could = (text: string) => text.split('\n').filter((line) => line.startsWith('could '));
  expect(could(said)).toEqual(['could listen on a low port', 'could write its state']);
  // Root outside the sandbox can do all of it: none of those tries is void.
  expect(await sh('/usr/local/bin/try-outside')).toBe(await sh('/usr/local/bin/try-outside list'));

  await sh(`systemctl stop squatter
    rm -r /etc/systemd/system/rolecall.service.d
    systemctl daemon-reload`);
}

/** CAP_NET_BIND_SERVICE, capabilities(7). */
const mayBindLowPorts = 1n << 10n;

async function runsAsMeant(sh: Shell): Promise<void> {
  expect(await sh('systemd-analyze verify rolecall.service 2>&1')).toBe('');
  const security = await sh('systemd-analyze security --no-pager rolecall.service | tail -n 1');
  process.stderr.write(`lab: ${security.trim()}\n`);
  expect(Number(/: ([\d.]+) /.exec(security)?.[1])).toBeLessThan(2);

  const status = await sh('cat /proc/$(systemctl show -P MainPID rolecall)/status');
  const field = (name: string) => new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(status)?.[1] ?? '';
  expect(field('Uid')).toBe((await sh('id -u rolecall')).trim());
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
    expect(BigInt(`0x${field(set)}`), set).toBe(mayBindLowPorts);
  }
  expect([field('NoNewPrivs'), field('Seccomp')]).toEqual(['1', '2']);
  expect(await sh('systemctl show -P StatusText rolecall')).toContain('serves site tokyo: ');
  // The copy for the next start, made inside the sandbox of folders with g+s.
  expect(await sh('stat -c %A /etc/rolecall/nodes')).toContain('s');
  await sh('until test -e /var/lib/rolecall/last-good-site/served/nodes; do sleep 1; done', 60);
}

/** A machine on that VLAN gets an address of its network, and by TFTP and HTTP what it boots. */
async function boots(vlan: number, sh: Shell): Promise<void> {
  const server = `10.78.${vlan}.1`;
  const inside = `ip netns exec rack${vlan}`;
  const lease = await askByUdhcpc(`rack${vlan}`, sh);
  expect(lease).toMatch(new RegExp(`^10\\.78\\.${vlan}\\.2[0-4]\\d ${server}$`));

  const name = 'boot/loader/undionly.kpxe';
  const sums = await sh(`${inside} busybox tftp -g -r ${name} -l /root/by-tftp ${server}
    ${inside} curl -sf http://${server}/${name} -o /root/by-http
    cat /root/by-tftp | sha256sum; cat /root/by-http | sha256sum`);
  expect(sums).toMatch(/^([0-9a-f]{64} {2}-)\n\1$/);
  expect(await bootArguments(vlan, sh)).toMatchObject({ server: `http://${server}` });

  // Another program, another client identifier: one machine keeps one address.
  const networkd = await sh(`/usr/local/bin/networkd-in rack${vlan}`);
  expect(networkd).toContain(`DHCPv4 address ${lease.split(' ')[0]}/24 acquired from ${server}`);
}

/** What udhcpc says that it was given, `<address> <server>`, and empty where nobody answers it. */
function askByUdhcpc(namespace: string, sh: Shell, tries = 4): Promise<string> {
  const udhcpc = `busybox udhcpc -i eth0 -f -n -q -T 2 -t ${tries} -s /usr/local/bin/take-lease`;
  return sh(`ip netns exec ${namespace} ${udhcpc} || test $? = 1`, patience);
}

/** What the boot script tells the machine's kernel by `rolecall.…=`. */
async function bootArguments(vlan: number, sh: Shell): Promise<Readonly<Record<string, string>>> {
  const url = `http://10.78.${vlan}.1/boot/script?mac=52:54:00:78:01:${vlan}`;
  const script = await sh(`ip netns exec rack${vlan} curl -sf ${url}`);
  expect(script).toMatch(/^#!ipxe\n/);
  return Object.fromEntries(
    [...script.matchAll(/ rolecall\.(\w+)=(\S+)/g)].map((m) => [m[1], m[2]]),
  );
}

/** On a VLAN of the same number behind another interface, where it has an address too, nobody is answered. */
async function hearsItsOwnVlansOnly(sh: Shell): Promise<void> {
  expect(await askByUdhcpc('other10', sh, 3)).toBe('');
  const log = await sh('journalctl -u rolecall -o cat --no-pager');
  const offered = (mac: string) =>
    [...log.matchAll(new RegExp(`${mac} \\S+ +offered (\\S+) `, 'g'))].map(
      ([, address]) => address,
    );
  expect(new Set(offered('52:54:00:78:01:10'))).toEqual(new Set(['10.78.10.200']));
  expect(new Set(offered('52:54:00:78:01:20'))).toEqual(new Set(['10.78.20.200']));
  expect(offered('52:54:00:78:02:10')).toEqual([]);
}
