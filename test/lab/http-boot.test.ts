import { expect, it } from 'vitest';
import { labScenario } from './harness/lab-under-test.ts';

const mac = '52:54:00:77:00:12';

it('a machine whose firmware knows HTTP Boot alone comes up without TFTP', async () => {
  await labScenario(
    { name: 'http-boot', only: ['web2'], hardware: { web2: { firmware: 'uefi', bootBy: 'http' } } },
    async (lab) => {
      const start = Date.now();
      // Bodies of answers are the root; their heads begin with "HTTP".
      const capture = await lab.capture(
        'http-boot',
        'udp or tcp dst port 80 or (tcp src port 80 and tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x48545450)',
      );
      await lab.waitStage('web2', 'ready');
      expect((await lab.http('web2', '/')).body).toContain('web2');

      // This machine has never booted before: its loader is booked by whose address asked for it.
      const events = await lab.events('web2');
      const loader = events.find((event) => event.kind === 'loader-sent');
      expect(loader).toMatchObject({ file: 'ipxe.efi', via: 'http', node: 'web2' });
      expect(events.findIndex((e) => e.kind === 'loader-sent')).toBeLessThan(
        events.findIndex((e) => e.kind === 'script-sent'),
      );

      const server = '10.77.0.1';
      const packets = await capture.rows(
        [
          'udp.port',
          'dhcp.hw.mac_addr',
          'dhcp.option.dhcp',
          'http.request.method',
          'http.request.uri',
          'http.response.code',
          'http.content_length_header',
        ],
        `udp or http and (ip.dst == ${server} and tcp.dstport == 80 or ip.src == ${server} and tcp.srcport == 80)`,
      );
      expect(packets.filter((packet) => packet['udp.port']?.includes('69'))).toEqual([]);
      const values = (field: string) => packets.flatMap((packet) => packet[field] ?? []);
      // The loader goes on with the firmware's address: DISCOVER, OFFER, REQUEST, ACK, once.
      expect(values('dhcp.option.dhcp')).toEqual(['1', '2', '3', '5']);
      expect(new Set(values('dhcp.hw.mac_addr'))).toEqual(new Set([mac]));

      const asked = packets
        .filter((packet) => packet['http.request.method']?.length)
        .map(
          (packet) =>
            `${packet['http.request.method']} ${packet['http.request.uri']?.[0]?.replace(/[?].*/, '')}`,
        );
      expect(asked.slice(0, 4)).toEqual([
        'HEAD /boot/loader/ipxe.efi',
        'GET /boot/loader/ipxe.efi',
        'GET /boot/loader/autoexec.ipxe',
        'GET /boot/script',
      ]);
      expect(new Set(values('http.response.code'))).toEqual(new Set(['200']));
      const lengths = packets
        .filter((packet) => packet['http.response.code']?.length)
        .map((packet) => packet['http.content_length_header']?.[0]);
      const size = String(loader?.kind === 'loader-sent' ? loader.bytes : 0);
      expect(lengths.slice(0, 2)).toEqual([size, size]);
      expect(lengths).not.toContain(undefined);
      process.stderr.write(
        `lab: HTTP Boot: ${JSON.stringify(await lab.stageTimes('web2', start))}\n`,
      );
    },
  );
});
