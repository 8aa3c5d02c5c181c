import { cp, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { ClientHost } from '../../src/lab/client-host.ts';
import type { Scenario } from '../../src/lab/scenario.ts';
import { startProgram } from '../../src/system/start-program.ts';
import { labScenario } from './harness/lab-under-test.ts';
import { until } from './harness/processes.ts';

const site = join(import.meta.dirname, 'sites/balancers');
const shippedLb = resolve(import.meta.dirname, '../../roles/lb');
const client = join(import.meta.dirname, 'harness/steady-client.ts');
const nat = '203.0.113.80';
const dsr = '203.0.113.81';
const balancers = ['lb1', 'lb2'] as const;
const servers = ['web1', 'web2'] as const;
/** Four guests share two cores with whatever else the machine does. */
const patience = 400;

const tell = (text: string) => process.stderr.write(`lab: balancers: ${text}\n`);

it('a pair of balancers and two web servers survive the loss of any one machine', async () => {
  const ownLb = (folder: string) => cp(shippedLb, join(folder, 'roles/lb'), { recursive: true });
  await labScenario({ name: 'balancers', site, uefi: [], edit: ownLb }, async (lab) => {
    await Promise.all(
      [...balancers, ...servers, 'web3'].map((node) =>
        lab.waitStage(node, 'ready', { seconds: patience }),
      ),
    );
    const outside = await lab.host('outside', 'client', '203.0.113.50');
    const inside = await lab.host('boot', 'neighbour', '10.77.0.60');
    // Whoever has just become master may not be known to all yet.
    await until('there is one master', 60, async () => (await masters(lab)).length === 1);

    const alternating = await spread(outside, nat, 20);
    expect(alternating).toEqual({ web1: 10, web2: 10 });
    const weighted = await directly(lab, outside);
    expect(weighted).toEqual({ web1: 15, web2: 5 });
    tell(`20 requests by nat, rr: ${show(alternating)}; by dsr, wrr 3 to 1: ${show(weighted)}`);

    // A client beside the servers is answered through the balancer as well.
    await inside.run('ip', ['route', 'add', '203.0.113.0/24', 'via', '10.77.0.100']);
    expect(await spread(inside, nat, 4)).toEqual({ web1: 2, web2: 2 });
    await inside.stop();
    await noWayInside(lab, outside);

    await killedMaster(lab, outside);
    await followedSite(lab, outside);
  });
});

/** A spare becomes a web server, and then an edit breaks what keepalived reads: nobody reboots a balancer. */
async function followedSite(lab: Scenario, from: ClientHost) {
  const bootIds = () =>
    Promise.all(balancers.map((node) => lab.ssh(node, 'cat /proc/sys/kernel/random/boot_id')));
  const booted = await bootIds();
  const [master = ''] = await masters(lab);
  const backup = balancers.find((name) => name !== master) ?? '';
  const heard = async (node: string, kind: string) =>
    (await lab.events(node)).findLast((event) => event.kind === kind)?.at ?? 0;

  const edited = Date.now();
  await lab.rolecall('node', 'set-role', 'web3', 'web');
  await until('both balancers follow', 120, async () => {
    const times = await Promise.all(balancers.map((node) => heard(node, 'followed')));
    return times.every((time) => time > edited);
  });
  expect(await heard(master, 'follow-sent')).toBeGreaterThan(await heard(backup, 'followed'));
  tell(
    `web3 made a web server: ${backup} knows it after ${seconds((await heard(backup, 'followed')) - edited)} s, ${master} after ${seconds((await heard(master, 'followed')) - edited)} s`,
  );
  const rebooted = Date.now();
  await lab.reboot('web3');

  // While it boots.
  const template = join(lab.site, 'roles/lb/files/etc/keepalived/keepalived.conf.ejs');
  await writeFile(template, `${await readFile(template, 'utf8')}\nno_such_keyword\n`);
  await until('the refusal is known', 120, async () =>
    (await lab.row(backup)).reason.includes("Unknown keyword 'no_such_keyword'"),
  );
  await until('the master waits', 30, async () =>
    (await lab.row(master)).reason.includes(`waits to follow: ${backup} did not follow`),
  );
  await lab.waitBoot('web3', rebooted, patience);
  await until('web3 is taken in', 60, async () => 'web3' in (await spread(from, nat, 3)));
  for (const node of balancers) {
    expect(await lab.ssh(node, 'grep -c no_such /etc/keepalived/keepalived.conf || true')).toBe(
      '0',
    );
  }
  expect(await spread(from, nat, 6)).toEqual({ web1: 2, web2: 2, web3: 2 });
  expect(await bootIds(), 'no balancer rebooted').toEqual(booted);
}

/** Pages by the server that they came from, of so many requests one after the other. */
async function spread(from: ClientHost, vip: string, requests: number) {
  const pages: Record<string, number> = {};
  for (let i = 0; i < requests; i += 1) {
    const { stdout } = await from.run('curl', [
      ...['--silent', '--show-error', '--fail', '--max-time', '20'],
      `http://${vip}/`,
    ]);
    const page = pageOf(stdout);
    pages[page] = (pages[page] ?? 0) + 1;
  }
  return pages;
}

function pageOf(html: string): string {
  return /<h1>(.*?)<\/h1>/.exec(html)?.[1] ?? '';
}

/** The same for the dsr service, while every packet on the outside network is looked at. */
async function directly(lab: Scenario, from: ClientHost) {
  const capture = await lab.capture('dsr', `tcp and host ${dsr}`, 'outside');
  const pages = await spread(from, dsr, 20);
  const rows = await capture.rows(['eth.src', 'ip.src', 'ip.dst', 'tcp.len']);
  const macs = { balancers: macsOf(balancers), servers: macsOf(servers) };
  const count = (senders: readonly string[], field: 'ip.src' | 'ip.dst') =>
    rows.filter((row) => senders.includes(row['eth.src']?.[0] ?? '') && row[field]?.[0] === dsr)
      .length;
  const answers = {
    servers: count(macs.servers, 'ip.src'),
    balancers: count(macs.balancers, 'ip.src'),
  };
  const requests = { balancers: count(macs.balancers, 'ip.dst') };
  tell(
    `dsr, packets on the outside network: ${requests.balancers} passed on by balancers; answers: ${answers.servers} sent by servers, ${answers.balancers} by balancers`,
  );
  expect(requests.balancers).toBeGreaterThanOrEqual(20);
  expect(answers.servers).toBeGreaterThanOrEqual(40);
  expect(answers.balancers).toBe(0);
  return pages;
}

/** The fixture's cards on the outside network: the last byte is that of the address. */
function macsOf(nodes: readonly string[]): readonly string[] {
  const ends: Record<string, string> = { lb1: '21', lb2: '22', web1: '31', web2: '32' };
  return nodes.map((node) => `52:54:00:77:02:${ends[node]}`);
}

/** Balancers forward what servers answer, and nothing else: nobody outside reaches the inside by them. */
async function noWayInside(lab: Scenario, from: ClientHost) {
  const [master] = await masters(lab);
  const ask = (via: string) =>
    from.run('ip', ['route', 'replace', '10.77.0.0/24', 'via', via]).then(() =>
      from.run('curl', ['--silent', '--max-time', '3', 'http://10.77.0.32/health'], {
        accept: [28],
      }),
    );
  expect((await ask(master === 'lb1' ? '203.0.113.21' : '203.0.113.22')).exitCode).toBe(28);
  await from.run('ip', ['route', 'del', '10.77.0.0/24']);
}

/** Balancers that have the VIPs. */
async function masters(lab: Scenario): Promise<readonly string[]> {
  const found: string[] = [];
  for (const node of balancers) {
    const states = await lab.ssh(node, 'cat /run/rolecall/vrrp/*').catch(() => '');
    if (states.split('\n').every((state) => state === 'MASTER')) found.push(node);
  }
  return found;
}

interface Answer {
  readonly at: number;
  readonly took: number;
  readonly kept: boolean;
  readonly port: number;
  /** The server's name; empty where there was no answer. */
  readonly page: string;
}

/** Loses the master, then a server, and gets both back, under a client that asks ten times a second. */
async function killedMaster(lab: Scenario, from: ClientHost) {
  const file = join(lab.lab.folder.root, 'answers.jsonl');
  const asking = await startProgram(
    ...from.inside(process.execPath, [client, `http://${nat}/`, file]),
    { log: join(lab.lab.folder.root, 'steady-client.log') },
  );
  const answers = async (since = 0, before = Number.POSITIVE_INFINITY) =>
    (await readFile(file, 'utf8'))
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Answer)
      .filter((answer) => answer.at >= since && answer.at < before)
      .sort((a, b) => a.at - b.at);
  const fresh = (all: readonly Answer[]) => all.filter((answer) => !answer.kept);
  const failed = (all: readonly Answer[]) => all.filter((answer) => answer.page === '');

  await sleep(5000);
  const [master = ''] = await masters(lab);
  const other = balancers.find((name) => name !== master) ?? '';
  const killed = Date.now();
  await lab.kill(master);
  await sleep(20_000);
  const quiet = Date.now() - 5000;
  const gap = longestGap(fresh(await answers(killed - 3000, quiet)));
  const lost = failed(fresh(await answers(killed, quiet))).length;
  tell(`${master}, the master, killed: no answer for ${seconds(gap)} s, ${lost} requests lost`);
  expect(await masters(lab)).toEqual([other]);
  expect(failed(fresh(await answers(killed + 10_000, quiet)))).toEqual([]);

  const kept = (await answers(0, quiet)).filter((answer) => answer.kept);
  expect(kept.filter((answer) => answer.at > killed + 10_000).length).toBeGreaterThan(3);
  expect(failed(kept)).toEqual([]);
  expect([...new Set(kept.map((answer) => answer.port))]).toHaveLength(1);
  tell(`the kept connection: ${kept.length} answers, the slowest after ${slowest(kept)} s`);

  const dead = Date.now();
  await lab.kill('web1');
  await until('web1 is taken out', 60, async () => {
    const table = await lab.ssh(other, `ipvsadm --list --numeric --tcp-service ${nat}:80`);
    return !table.includes('10.77.0.31');
  });
  await sleep(6000);
  const after = fresh(await answers(dead, Date.now() - 2000));
  const last = failed(after).at(-1)?.at ?? dead;
  tell(
    `web1 killed: ${failed(after).length} of ${after.filter((a) => a.at <= last).length} requests lost in ${seconds(last - dead)} s, none after`,
  );
  const out = after.filter((answer) => answer.at > last);
  expect(out.length).toBeGreaterThan(10);
  expect(new Set(out.map((answer) => answer.page))).toEqual(new Set(['web2']));

  const back = Date.now();
  await Promise.all([lab.start(master), lab.start('web1')]);
  await Promise.all([master, 'web1'].map((node) => lab.waitBoot(node, back, patience)));
  await until('web1 is taken in', 60, async () =>
    fresh(await answers(Date.now() - 5000)).some((answer) => answer.page === 'web1'),
  );
  await sleep(4000);
  const returned = fresh(await answers(back, Date.now() - 2000));
  await asking.stop();
  tell(
    `both back within ${seconds(Date.now() - back)} s: ${failed(returned).length} of ${returned.length} requests lost`,
  );
  expect(await masters(lab)).toEqual([other]);
  expect(failed(returned)).toEqual([]);
  expect(await spread(from, nat, 4)).toEqual({ web1: 2, web2: 2 });
}

/** Milliseconds between two answers that came, one after the other; with none between them. */
function longestGap(answers: readonly Answer[]): number {
  const came = answers
    .filter((answer) => answer.page !== '')
    .map((answer) => answer.at + answer.took)
    .sort((a, b) => a - b);
  return Math.max(...came.slice(1).map((at, i) => at - (came[i] ?? at)));
}

function slowest(answers: readonly Answer[]): string {
  return seconds(Math.max(...answers.map((answer) => answer.took)));
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(1);
}

function show(pages: Readonly<Record<string, number>>): string {
  return Object.entries(pages)
    .map(([page, count]) => `${page} ${count}`)
    .sort()
    .join(', ');
}
