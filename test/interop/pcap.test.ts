import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packPcap } from '../../src/pxe/pcap.ts';
import type { MachinePacket } from '../../src/pxe/wire-packet.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { web1Mac } from '../unit/dhcp/a-dhcp-site.ts';
import {
  dhcpIn,
  dhcpOut,
  httpIn,
  httpOut,
  tftpEnd,
  tftpError,
  tftpIn,
} from '../unit/dhcp/wire-packets.ts';

const script = '/boot/script?mac=52:54:00:00:00:21';
const start = Date.UTC(2026, 0, 31, 9);
const packets = [
  dhcpIn('discover', {}),
  dhcpOut('offer', {}),
  dhcpIn('request', {}),
  dhcpOut('ack', {}),
  tftpIn('boot/loader/odd.efi', {}),
  tftpError('file not found', {}),
  tftpEnd({ file: 'boot/loader/odd.efi', outcome: 'delivered' }, {}),
  httpIn(script, {}),
  httpOut(script, 200, {}),
  httpIn('/images/1', {}),
  httpOut('/images/1', 200, { size: 300_000_000 }),
  httpIn('/images/2', {}),
].map((packet, i): MachinePacket => ({ ...packet, machine: web1Mac, at: start + i }));

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rc-pcap-'));
  writeFileSync(join(folder, 'boot.pcap'), packPcap(packets));
});
afterAll(() => rmSync(folder, { recursive: true }));

const tshark = async (...args: readonly string[]) => {
  // Every checksum is looked at, those that Wireshark leaves alone by default too.
  const checked = ['ip', 'udp', 'tcp'].flatMap((p) => ['-o', `${p}.check_checksum:TRUE`]);
  const { stdout } = await runProgram(
    'tshark',
    ['-r', join(folder, 'boot.pcap'), ...checked, ...args],
    { timeout: 60_000 },
  );
  return stdout.split('\n').filter((line) => line !== '');
};

it('is read by tshark as what it is', async () => {
  const fields = ['_ws.col.Protocol', 'eth.src', 'eth.dst', 'ip.src', 'ip.dst', '_ws.col.Info'];
  const lines = await tshark('-T', 'fields', ...fields.flatMap((field) => ['-e', field]));
  const [web1, us, all] = ['52:54:00:00:00:21', '02:00:00:00:00:01', 'ff:ff:ff:ff:ff:ff'];
  const toUs = ['10.77.0.21', '10.77.0.1'];
  const toWeb1 = ['10.77.0.1', '10.77.0.21'];
  expect(lines.map((line) => line.split('\t').map((cell) => cell.trim()))).toEqual([
    ['DHCP', web1, all, '0.0.0.0', '255.255.255.255', expect.stringContaining('DHCP Discover')],
    ['DHCP', us, all, '10.77.0.1', '255.255.255.255', expect.stringContaining('DHCP Offer')],
    ['DHCP', web1, all, '0.0.0.0', '255.255.255.255', expect.stringContaining('DHCP Request')],
    ['DHCP', us, all, '10.77.0.1', '255.255.255.255', expect.stringContaining('DHCP ACK')],
    ['TFTP', web1, us, ...toUs, expect.stringContaining('File: boot/loader/odd.efi')],
    ['TFTP', us, web1, ...toWeb1, expect.stringContaining('Message: file not found')],
    ['HTTP', web1, us, ...toUs, expect.stringContaining(`GET ${script}`)],
    ['HTTP', us, web1, ...toWeb1, expect.stringContaining('HTTP/1.1 200 OK')],
    ['HTTP', web1, us, ...toUs, expect.stringContaining('GET /images/1')],
    ['HTTP', us, web1, ...toWeb1, expect.stringContaining('HTTP/1.1 200 OK')],
    ['HTTP', web1, us, ...toUs, expect.stringContaining('GET /images/2')],
  ]);
});

it('has no malformed packet and no wrong checksum', async () => {
  const wrong =
    '_ws.malformed or _ws.expert.severity == error or ip.checksum.status == 0 or udp.checksum.status == 0 or tcp.checksum.status == 0';
  expect(await tshark('-Y', wrong)).toEqual([]);
  expect(await tshark('-Y', 'udp.checksum.status == 1')).toHaveLength(6);
});

it('keeps the times of the server', async () => {
  const [first] = await tshark('-T', 'fields', '-e', 'frame.time_epoch', '-c', '1');
  expect(Number(first)).toBe(start / 1000);
});
