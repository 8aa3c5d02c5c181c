import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { labScenario, saysOn } from './harness/lab-under-test.ts';
import { until } from './harness/processes.ts';

// web1's firmware knows HTTP Boot alone, web2's PXE.
const hardware = {
  web1: { secureBoot: true, bootBy: 'http' },
  web2: { secureBoot: true },
} as const;
const machines = ['web1', 'web2'];

it('firmware that enforces Secure Boot refuses the unsigned loader, and boots the signed pair once the site says so', async () => {
  await labScenario({ name: 'secure-boot', only: machines, hardware }, async (lab) => {
    for (const node of machines) {
      await until(`${node} refuses the unsigned loader`, 120, () =>
        saysOn(lab, node, 'Access Denied'),
      );
      const events = await lab.events(node);
      expect(events).toContainEqual(
        expect.objectContaining({
          kind: 'loader-sent',
          file: expect.stringMatching(/ipxe[.]efi$/),
        }),
      );
      expect(events.map((event) => event.kind)).not.toContain('script-sent');
    }

    await appendFile(join(lab.site, 'site.yaml'), '\nsecureBoot: true\n');
    const asked = Date.now();
    for (const node of machines) await lab.reboot(node);
    const capture = await lab.capture('secure-boot', 'udp or tcp dst port 80');
    await Promise.all(machines.map((node) => lab.waitBoot(node, asked, 240)));

    for (const node of machines) {
      const times = JSON.stringify(await lab.stageTimes(node, asked));
      process.stderr.write(`lab: Secure Boot, ${node}: ${times}\n`);
      expect((await lab.http(node, '/')).body).toContain(node);
      // The node itself: the variable's last byte is its value, after four of attributes.
      const said = await lab.ssh(
        node,
        'od -An -t u1 /sys/firmware/efi/efivars/SecureBoot-*; cat /sys/kernel/security/lockdown; dmesg',
      );
      expect(said.split('\n')[0]?.trim().split(/\s+/).at(-1)).toBe('1');
      expect(said).toContain('[integrity]');
      expect(said).toContain('secureboot: Secure boot enabled');
    }

    const packets = await capture.rows(['eth.src', 'tftp.source_file', 'http.request.uri']);
    const [web1, web2] = lab.lab.plan.guests.map((guest) => {
      const own = packets.filter((packet) => packet['eth.src']?.[0] === guest.nics[0]?.mac);
      const named = own.flatMap((p) => [
        ...(p['tftp.source_file'] ?? []),
        ...(p['http.request.uri'] ?? []),
      ]);
      // GRUB says of the machine what iPXE says, so that a role file may name it by any of it.
      const { uuid, serial, nics } = guest;
      const question = `/boot/grub.cfg?mac=${nics[0]?.mac}&uuid=${uuid}&serial=${serial}&arch=x86_64`;
      expect(named).toContain(question);
      // After the reset there was not a single request for what the site no longer serves them.
      expect(named.filter((name) => name.includes('ipxe'))).toEqual([]);
      const tftp = own.some((packet) => packet['tftp.source_file']?.length);
      return { files: new Set(named), tftp };
    });
    expect(web1?.tftp).toBe(false);
    expect(web1?.files).toContain('/boot/loader/shimx64.efi');
    expect(web1?.files).toContain('/grub/grub.cfg');
    expect(web2?.files).toContain('boot/loader/shimx64.efi');
    expect(web2?.files).toContain('boot/loader/grubx64.efi');
    expect(web2?.files).toContain('/grub/grub.cfg');
  });
});
