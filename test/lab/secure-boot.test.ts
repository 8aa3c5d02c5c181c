import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { labScenario } from './harness/lab-under-test.ts';
import { until } from './harness/processes.ts';

it('firmware that enforces Secure Boot refuses the unsigned loader, and boots the signed pair once the site says so', async () => {
  const hardware = { web2: { secureBoot: true } };
  await labScenario({ name: 'secure-boot', only: ['web2'], hardware }, async (lab) => {
    const kinds = async () => (await lab.events('web2')).map((event) => event.kind);
    await until('the unsigned loader is refused', 120, async () =>
      /failed to load.*\n?.*Access Denied|Access Denied/.test(await lab.console('web2')),
    );
    expect(await lab.events('web2')).toContainEqual(
      expect.objectContaining({ kind: 'loader-sent', file: 'boot/loader/ipxe.efi' }),
    );
    expect(await kinds()).not.toContain('script-sent');
    const refusal = (await lab.console('web2')).match(/.*Access Denied.*/)?.[0];
    process.stderr.write(`lab: without secureBoot: ${refusal}\n`);

    const asked = Date.now();
    const capture = await lab.capture('secure-boot', 'udp or tcp dst port 80');
    await appendFile(join(lab.site, 'site.yaml'), '\nsecureBoot: true\n');
    await lab.reboot('web2');
    await lab.waitBoot('web2', asked, 240);
    process.stderr.write(
      `lab: Secure Boot: ${JSON.stringify(await lab.stageTimes('web2', asked))}\n`,
    );
    expect((await lab.http('web2', '/')).body).toContain('web2');

    // The node itself: the variable's last byte is its value, after four of attributes.
    const said = await lab.ssh(
      'web2',
      'od -An -t u1 /sys/firmware/efi/efivars/SecureBoot-*; cat /sys/kernel/security/lockdown; dmesg',
    );
    expect(said.split('\n')[0]?.trim().split(/\s+/).at(-1)).toBe('1');
    expect(said).toContain('[integrity]');
    expect(said).toMatch(/secureboot: Secure boot enabled/);

    const packets = await capture.rows(['tftp.source_file', 'tftp.error.code', 'http.request.uri']);
    const values = (field: string) => [
      ...new Set(packets.flatMap((packet) => packet[field] ?? [])),
    ];
    const files = values('tftp.source_file');
    expect(files).toEqual(
      expect.arrayContaining([
        'boot/loader/shimx64.efi',
        'boot/loader/grubx64.efi',
        '/grub/grub.cfg',
      ]),
    );
    expect(files.some((file) => file.includes('ipxe'))).toBe(false);
    // GRUB says of the machine what iPXE says, so that a role file may name it by any of it.
    const guest = lab.lab.plan.guests[0];
    expect(values('http.request.uri')).toContain(
      `/boot/grub.cfg?mac=${guest?.nics[0]?.mac}&uuid=${guest?.uuid}&serial=${guest?.serial}&arch=x86_64`,
    );
  });
});
