import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Scenario } from '../../src/lab/scenario.ts';
import { labScenario } from './harness/lab-under-test.ts';

const web = 'web1';
const collector = 'web2';
const disk = '/dev/disk/by-id/virtio-logs';

// Two guests: one serves, the other collects. The client is the host, 10.77.0.1 on their network.
it('every request is one line at the collector, through its restarts, and knows the class of its client', async () => {
  // About as large as the store in RAM would be.
  const hardware = { [collector]: { disks: [{ serial: 'logs', size: 116 }] } };
  await labScenario(
    { name: 'logs', only: [web, collector], edit: editSite, hardware },
    async (lab) => {
      await lab.waitStage(web, 'ready');
      await diskIsNamed(lab);
      await classesReachTheApplication(lab);
      await linesAreCounted(lab);
      await lossIsSaid(lab);
      await filesRotate(lab);
    },
  );
}, 900_000);

async function editSite(site: string): Promise<void> {
  const change = async (file: string, edit: (text: string) => string) => {
    const path = join(site, file);
    await writeFile(path, edit(await readFile(path, 'utf8')));
  };
  await change(
    'site.yaml',
    (text) =>
      `${text}  base: {logQueue: 2}\n  web: {proxy: {/app/: {to: ['${web}:8000']}}}\nclientClasses: {fleet: [10.77.0.0/24], rack: [10.77.0.1/32]}\n`,
  );
  await change(
    `nodes/${collector}.yaml`,
    (text) => `${text.replace('role: web', 'role: logs')}params: { logs: { disk: ${disk} } }\n`,
  );
}

/** It is used as it is or not at all; a file system is made by whoever knows what is on it. */
async function diskIsNamed(lab: Scenario): Promise<void> {
  const make = '/usr/lib/rolecall/logs-disk';
  const { reason } = await lab.waitStage(collector, 'failed', { retry: false });
  expect(reason).toContain(
    `logs: waits for the disk ${disk}: it is blank, and nothing is formatted by itself. To do so, on this node: ${make}`,
  );
  expect(await lab.tcp(collector, 2514)).toBe('ECONNREFUSED');
  const answer = (word: string, option = '') =>
    lab.ssh(collector, `echo ${word} | ${make} ${option} 2>&1 || true`);
  const shown = await answer('yes');
  expect(shown).toMatch(/^ALL that is on this disk of web2 is overwritten:$/m);
  expect(shown).toMatch(/^disk {3}\/dev\/disk\/by-id\/virtio-logs \(\/dev\/vd\w\)$/m);
  expect(shown).toMatch(/^size {3}0\.1 GB$/m);
  expect(shown).toMatch(/^now {4}blank\nType web2 to go on: nothing was changed$/m);
  const image = await readFile(await lab.disk(collector, 'logs'));
  expect(image.every((byte) => byte === 0)).toBe(true);
  await lab.ssh(collector, `mkswap -q ${disk}`);
  expect(await answer(collector)).toContain('holds swap; --force overwrites it');
  expect(await answer(collector, '--force')).toMatch(
    /^now {4}swap\n.*made; the collector takes it/m,
  );
  await lab.waitStage(collector, 'ready', { retry: false });
  expect(await answer(collector, '--force')).toContain('is left alone: mounted at /srv/logs');
  expect(await lab.ssh(collector, 'findmnt -no SOURCE,FSTYPE /srv/logs')).toMatch(
    /^\/dev\/vd\w ext4$/,
  );
}

/** Answers each request with its own header lines, as an application behind nginx sees them. */
const application = `cat >/run/application <<'END'
#!/bin/sh
lines=
while IFS= read -r line && [ "$line" != "$(printf '\\r')" ]; do lines="$lines$line
"; done
printf 'HTTP/1.0 200 OK\\r\\n\\r\\n%s' "$lines"
END
chmod +x /run/application
cd /run/systemd/system
printf '[Socket]\\nListenStream=8000\\nAccept=yes\\n' >application.socket
printf '[Service]\\nStandardInput=socket\\nStandardOutput=socket\\nExecStart=/run/application\\n' >application@.service
systemctl daemon-reload
systemctl start application.socket`;

async function classesReachTheApplication(lab: Scenario): Promise<void> {
  await lab.ssh(web, application);
  const ask = await lab.port(web, 80);
  const answer = await fetch(`http://127.0.0.1:${ask}/app/x`, {
    headers: { 'X-Client-Type': 'forged' },
  });
  const seen = (await answer.text()).split('\r\n').filter((line) => /^x-/i.test(line));
  expect(seen).toEqual([
    'X-Real-IP: 10.77.0.1',
    'X-Forwarded-For: 10.77.0.1',
    'X-Forwarded-Proto: http',
    'X-Client-Type: rack',
  ]);
  const local = await lab.ssh(web, `curl -s http://10.77.0.11/app/x | grep -i client-type`);
  expect(local.trim()).toBe('X-Client-Type: fleet');
  expect((await lab.http(web, '/')).body).toContain('<code id="client-type">rack</code>');
}

const access = `/srv/logs/hosts/${web}/access.log`;

/** Asks so many times for paths that are all different and begin so. */
async function request(lab: Scenario, path: string, first: number, count: number): Promise<number> {
  const ask = await lab.port(web, 80);
  for (let i = first; i < first + count; i += 10) {
    const ten = Array.from({ length: 10 }, (_, n) => `http://127.0.0.1:${ask}${path}${i + n}`);
    await Promise.all(ten.map(async (url) => (await fetch(url)).text()));
  }
  return first + count;
}

/** Lines at the collector, and how many different requests they tell. */
async function count(lab: Scenario, path: string, file = access) {
  const lines = await lab.ssh(collector, `grep -o '${path}[0-9]* ' ${file} || true`);
  const found = lines.split(/\s+/).filter((word) => word !== '');
  return { lines: found.length, distinct: new Set(found).size };
}

async function linesAreCounted(lab: Scenario): Promise<void> {
  let asked = 0;
  const requests = async (some: number) => {
    asked = await request(lab, '/request-', asked, some);
  };
  const during = async (command: string, count: number) => {
    const running = lab.ssh(collector, command);
    await requests(count);
    await running;
  };
  const collect = `systemctl {} rolecall-collector.service`;
  await requests(100);
  await during(collect.replace('{}', 'restart'), 300);
  await during(collect.replace('{}', 'kill --signal KILL'), 300);
  await lab.ssh(collector, collect.replace('{}', 'stop'));
  await requests(300);
  const since = Date.now();
  await lab.ssh(collector, collect.replace('{}', 'start'));
  await requests(100);

  const told = async (file?: string) => count(lab, '/request-', file);
  await expect.poll(async () => (await told()).distinct, { timeout: 60_000 }).toBe(asked);
  process.stderr.write(
    `lab: ${asked} requests, ${(await told()).lines} lines at the collector; ` +
      `those of a collector that was away there ${((Date.now() - since) / 1000).toFixed(1)} s after it was back\n`,
  );
  expect((await told('/srv/logs/roles/web/access.log')).distinct).toBe(asked);
  const [first = ''] = (await lab.ssh(collector, `grep -m 1 request-0 ${access}`)).split('\n');
  expect(first).toMatch(
    /^web1 10\.77\.0\.1 - - \[[^\]]+\] "GET \/request-0 HTTP\/1\.1" 404 \d+ "-" "node" rack [\d.]+$/,
  );
  expect(await lab.ssh(web, `journalctl -o cat | grep -c request- || true`)).toBe('0');
  expect(await lab.ssh(web, `find /var/log -type f -size +0 -newer /etc/hostname`)).toBe('');
}

/** 2 MiB of queue hold 682 lines: beyond them the newest are lost, and the journal counts them. */
async function lossIsSaid(lab: Scenario): Promise<void> {
  await lab.ssh(collector, 'systemctl stop rolecall-collector.service');
  const asked = await request(lab, '/flood-', 0, 1000);
  const saidLost = async () => {
    const said = await lab.ssh(web, 'journalctl -o cat -t rolecall-log');
    const counts = said.matchAll(/^(\d+) log lines lost: the queue for web2 is full$/gm);
    return [...counts].reduce((sum, [, lost]) => sum + Number(lost), 0);
  };
  await expect.poll(saidLost, { timeout: 40_000 }).toBeGreaterThanOrEqual(asked - 682);
  await lab.ssh(collector, 'systemctl start rolecall-collector.service');
  const arrived = async () => (await count(lab, '/flood-')).distinct;
  await lab.ssh(web, 'logger after the flood');
  const messages = `/srv/logs/hosts/${web}/messages.log`;
  await expect
    .poll(() => lab.ssh(collector, `tail -n 20 ${messages}`), { timeout: 60_000 })
    .toContain('after the flood');
  const lost = await saidLost();
  const missing = asked - (await arrived());
  process.stderr.write(
    `lab: ${asked} requests too many: ${missing} lines missing, ${lost} said to be lost\n`,
  );
  expect(missing).toBeGreaterThan(0);
  expect(missing).toBeLessThanOrEqual(lost);
  // The rest of what is lost are lines of the node's journal.
  expect(lost - missing).toBeLessThan(60);
}

/** A store of about 96 MiB: what is old goes before it is full, and newer lines still come in. */
async function filesRotate(lab: Scenario): Promise<void> {
  await lab.ssh(
    collector,
    `cd /srv/logs/hosts/${web}
     for n in 1 2 3 4; do head -c 22M /dev/zero >messages.log-2026010$n; touch -d 2026-01-0$n messages.log-2026010$n; done
     systemctl start rolecall-logs-rotate.service`,
  );
  const files = await lab.ssh(collector, `ls /srv/logs/hosts/${web}`);
  expect(files).not.toContain('messages.log-20260101');
  expect(files).toContain('messages.log-20260104');
  const said = await lab.ssh(collector, 'journalctl -o cat -u rolecall-logs-rotate.service');
  expect(said).toMatch(/is (8[5-9]|9\d) % full: deleted hosts\/web1\/messages\.log-20260101\n/);
  await lab.ssh(web, 'logger after the rotation');
  await sleep(2000);
  expect(await lab.ssh(collector, `tail -n 5 /srv/logs/roles/web/messages.log`)).toContain(
    'root: after the rotation',
  );
}
