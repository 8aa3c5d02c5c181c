import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Scenario } from '../../src/lab/scenario.ts';
import type { NodeStatus } from '../../src/state/event.ts';
import { mac } from '../unit/dhcp/a-dhcp-site.ts';
import { expectNoWaits, readBootPackets } from './harness/boot-packets.ts';
import { labScenario, readMail, runs, sendMail } from './harness/lab-under-test.ts';
import { until } from './harness/processes.ts';

// One lab for both firmwares: web1 has a BIOS, web2 has UEFI. web1 is known by its UUID alone.
const machines = ['web1', 'web2'];
const uuid = '5e1f0c2a-7d34-4b19-9a3e-2f6b8c0d1e47';

it('web servers become mail servers by one command and a reboot, with the image they had', async () => {
  await labScenario({ name: 'swap', uefi: ['web2'], edit: nameByUuid }, async (lab) => {
    const start = Date.now();
    await Promise.all(machines.map((node) => lab.waitStage(node, 'ready')));

    const before = await Promise.all(machines.map((node) => runs(lab, node)));
    for (const [i, node] of machines.entries()) {
      expect(before[i]?.role).toEqual(['web']);
      const page = await lab.http(node, '/');
      expect(page.status).toBe(200);
      expect(page.body).toContain(node);
      expect(page.body).toContain(before[i]?.bootSet);
      expect(await lab.tcp(node, 25)).toBe('ECONNREFUSED');
      process.stderr.write(
        `lab: ${node}, first boot: ${JSON.stringify(await lab.stageTimes(node, start))}\n`,
      );
    }

    // All but the bodies of HTTP answers, which are the roots.
    const capture = await lab.capture('swap', 'not tcp src port 80');
    const asked = Date.now();
    for (const node of machines) {
      expect(await lab.rolecall('node', 'set-role', node, 'mail')).toContain('web → mail');
      // It stays what it is until it boots.
      expect((await lab.row(node)).role).toEqual(['web']);
      await lab.reboot(node);
    }
    await Promise.all(machines.map((node) => lab.waitBoot(node, asked)));
    const packets = await readBootPackets(capture);
    expectNoWaits(packets, firstCard(lab, 'web1'), ['undionly.kpxe']);
    expectNoWaits(packets, '52:54:00:77:00:12', ['ipxe.efi', 'autoexec.ipxe']);

    for (const [i, node] of machines.entries()) {
      const after = await runs(lab, node);
      expect(after.role).toEqual(['mail']);
      expect(after.image).toBe(before[i]?.image);
      expect(after.bootSet).not.toBe(before[i]?.bootSet);
      expect(await lab.tcp(node, 80)).toBe('ECONNREFUSED');

      const subject = `for ${node} at ${asked}`;
      await sendMail(
        await lab.port(node, 25),
        'ops@lab.example',
        `From: someone@example.net\nTo: ops@lab.example\nSubject: ${subject}\n\nGood morning.\n`,
      );
      const imap = await lab.port(node, 143);
      await until(`the mail is in the mailbox on ${node}`, 60, async () =>
        (await readMail(imap, 'ops@lab.example', 'lab')).includes(`Subject: ${subject}`),
      );
      // A mailbox is its owner's only, and the server relays for nobody.
      await expect(readMail(imap, 'ops@lab.example', 'wrong')).rejects.toThrow('curl');
      const elsewhere = sendMail(await lab.port(node, 25), 'you@example.com', 'Subject: relay\n\n');
      await expect(elsewhere).rejects.toThrow('curl');
      process.stderr.write(
        `lab: ${node}, after the swap: ${JSON.stringify(await lab.stageTimes(node, asked))}\n`,
      );
    }

    // While web1 is without power and boots again, a service breaks on web2.
    const before1 = await runs(lab, 'web1');
    await lab.lab.kill('web1');
    const [again] = await Promise.all([comesBackWithAnotherCard(lab), aBrokenServiceShows(lab)]);
    expect(again).toMatchObject({ address: '10.77.0.11', mac: [otherCard] });
    expect(await runs(lab, 'web1')).toEqual(before1);
    expect(await lab.ssh('web1', 'cat /sys/class/net/*/address')).toContain(otherCard);
    const files = await lab.ssh('web1', 'networkctl status --no-pager --json=short');
    expect(files).toContain('/etc/systemd/network/10-boot.network.d/boot-card.conf');
    expect(await lab.rolecall('explain', otherCard)).toContain('its UUID is in nodes/web1.yaml');
  });
});

/** A machine without power shows. Another card in it: no edit, and the boot set stays what it was. */
async function comesBackWithAnotherCard(lab: Scenario): Promise<NodeStatus> {
  expect((await lab.waitStage('web1', 'silent', { retry: false })).role).toEqual(['mail']);
  lab.lab.replaceCard('web1', otherCard);
  const swapped = Date.now();
  await lab.start('web1');
  return lab.waitBoot('web1', swapped);
}

async function aBrokenServiceShows(lab: Scenario): Promise<void> {
  await lab.ssh('web2', 'systemctl stop dovecot');
  const failed = await lab.waitStage('web2', 'failed', { retry: false });
  expect(failed.reason).toMatch(/^mail: /);
  await lab.ssh('web2', 'systemctl start dovecot');
  const mended = await lab.waitStage('web2', 'ready', { retry: false });
  // The console warns of what check warns of.
  expect(mended.reason).toMatch(/RAM/);
}

const otherCard = mac('52:54:00:77:00:aa');

function firstCard(lab: Scenario, guest: string): string {
  return lab.lab.plan.guests.find(({ name }) => name === guest)?.nics[0]?.mac ?? '';
}

async function nameByUuid(site: string): Promise<void> {
  const file = join(site, 'nodes/web1.yaml');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace(/^mac: \S+/m, `id: {uuid: ${uuid}}`));
}
