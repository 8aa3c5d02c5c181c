import { describe, expect, it } from 'vitest';
import { macFromBytes } from '../../../src/net/mac.ts';
import { createBootTrace } from '../../../src/pxe/boot-trace.ts';
import { textBytes } from '../../../src/pxe/dhcp-options.ts';
import { packDhcpPacket } from '../../../src/pxe/dhcp-packet.ts';
import { describePacket } from '../../../src/pxe/wire-packet.ts';
import { strangerMac, web1Mac } from './a-dhcp-site.ts';
import { dhcpIn, dhcpOut, httpIn, httpOut, tftpEnd, tftpIn, told } from './wire-packets.ts';

const loader = 'boot/loader/undionly.kpxe';

describe('a boot', () => {
  it('holds what a machine said and was told, by whatever protocol', () => {
    const trace = createBootTrace();
    const packets = [
      dhcpIn('discover', { at: 0 }),
      dhcpOut('offer', { at: 5 }),
      dhcpIn('request', { at: 10 }),
      dhcpOut('ack', { at: 15 }),
      tftpIn(loader, { at: 20 }),
      tftpEnd({ file: loader, outcome: 'delivered' }, { at: 30 }),
      dhcpIn('discover', { at: 40, via: 'rolecall' }),
      httpIn('/boot/script?mac=52:54:00:00:00:21', { at: 50 }),
      httpOut('/boot/script?mac=52:54:00:00:00:21', 200, { at: 51 }),
    ];
    for (const packet of packets) trace.note(packet);
    expect(trace.of(web1Mac)?.packets.map(describePacket)).toEqual([
      'DISCOVER PXEClient:Arch:00000',
      `OFFER PXEClient 10.77.0.21 boot file ${loader}`,
      'REQUEST PXEClient:Arch:00000 of 10.77.0.21 from server 10.77.0.1',
      `ACK PXEClient 10.77.0.21 boot file ${loader}`,
      `read request for ${loader} (tsize=0 blksize=1468)`,
      `${loader} sent: 70000 bytes in 48 blocks of 1468`,
      'DISCOVER PXEClient:Arch:00000',
      'GET /boot/script?mac=52:54:00:00:00:21',
      'GET /boot/script?mac=52:54:00:00:00:21 → 200, 900 bytes',
    ]);
  });

  it.each([
    ['firmware that asks again is still the same boot', 8_000, ['discover'], 2],
    ['firmware that asks after a long pause is another', 200_000, ['discover'], 1],
    ['firmware that asks after its lease is another', 8_000, ['discover', 'request'], 1],
  ] as const)('%s', (_what, later, before, kept) => {
    const trace = createBootTrace();
    for (const type of before) trace.note(dhcpIn(type, { at: 0 }));
    trace.note(dhcpIn('discover', { at: later }));
    expect(trace.of(web1Mac)?.packets).toHaveLength(kept);
  });

  it("tells a card's iPXE from the loader that asks after it was fetched", () => {
    const trace = createBootTrace();
    const asks = (at: number) => trace.note(dhcpIn('discover', { at, via: 'ipxe' }));
    asks(0);
    trace.note(dhcpIn('request', { at: 1, via: 'ipxe' }));
    trace.note(dhcpOut('ack', { at: 2 }));
    trace.note(tftpIn(loader, { at: 3 }));
    asks(10);
    expect(trace.of(web1Mac)?.packets).toHaveLength(5);
    trace.note(httpIn('/boot/script?mac=52:54:00:00:00:21', { at: 20 }));
    asks(30);
    expect(trace.of(web1Mac)?.packets).toHaveLength(1);
  });

  it('of an operating system is none, and a running node fills nothing', () => {
    const trace = createBootTrace();
    trace.note(dhcpIn('discover', { via: 'os' }));
    expect(trace.of(web1Mac)).toBeUndefined();
    trace.note(dhcpIn('discover', {}));
    trace.note(dhcpOut('ack', {}));
    trace.note(httpOut('/report/1', 200, { report: 'ready' }));
    for (let i = 0; i < 50; i += 1) {
      trace.note(httpOut('/report/1', 200, { report: 'alive' }));
      trace.note(dhcpIn('request', { via: 'os' }));
    }
    expect(trace.of(web1Mac)?.packets).toHaveLength(3);
  });

  it('behind another DHCP server is known by the address that its REQUEST names', () => {
    const trace = createBootTrace();
    trace.note(dhcpIn('discover', {}));
    trace.note(dhcpIn('request', { serverId: '10.77.0.9' }));
    trace.note(tftpIn(loader, {}));
    expect(trace.of(web1Mac)?.packets).toHaveLength(3);
  });

  it('is known by the MAC in its request for a script where no DHCP was seen', () => {
    const trace = createBootTrace();
    const script = '/boot/script?mac=52:54:00:00:00:99';
    trace.note({ ...httpIn(script, {}), machine: strangerMac });
    trace.note(httpOut('/images/1', 200, {}));
    expect(trace.of(strangerMac)?.packets).toHaveLength(2);
  });
});

describe('a flood', () => {
  it('of DISCOVERs from made-up machines pushes out no machine that boots', () => {
    const trace = createBootTrace({ strangers: 8 });
    trace.note(dhcpIn('discover', {}));
    trace.note(dhcpIn('request', {}));
    const template = dhcpIn('discover', {});
    for (let i = 0; i < 5000; i += 1) {
      const machine = macFromBytes(Uint8Array.of(2, 0, 0, 0, i >> 8, i & 255));
      trace.note({ ...template, ...(machine ? { machine } : {}) });
    }
    expect(trace.boots()).toHaveLength(9);
    expect(trace.of(web1Mac)?.packets).toHaveLength(2);
  });

  it('of one machine keeps how its boot began and how it ended', () => {
    const trace = createBootTrace({ packets: 20 });
    trace.note(dhcpIn('discover', { at: 0 }));
    for (let at = 1; at <= 100; at += 1) trace.note(dhcpIn('request', { at }));
    const { packets, dropped } = trace.of(web1Mac) ?? {};
    expect(dropped).toBe(81);
    expect([packets?.length, packets?.[0]?.at, packets?.at(-1)?.at]).toEqual([20, 0, 100]);
  });

  it('of bytes takes no more than its share', () => {
    const trace = createBootTrace({ bytes: 10_000 });
    const big = packDhcpPacket(told('discover', { options: { 12: textBytes('x'.repeat(200)) } }));
    for (let i = 0; i < 100; i += 1) {
      const machine = macFromBytes(Uint8Array.of(2, 0, 0, 0, 0, i));
      const packet = { ...dhcpIn('request', {}), bytes: big, ...(machine ? { machine } : {}) };
      trace.note({ ...dhcpIn('discover', {}), ...(machine ? { machine } : {}) });
      trace.note(packet);
    }
    const boots = trace.boots();
    expect(boots.length).toBeLessThan(10);
    expect(boots.at(-1)?.machine).toBe('02:00:00:00:00:63');
  });
});
