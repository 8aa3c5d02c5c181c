import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { checkPorts } from '../../../src/server/check-ports.ts';

const address = '127.0.0.1';

test('every place that is taken is said, and one that is free is not', async () => {
  const tcp = createServer().listen(0, address);
  const udp = createSocket('udp4').bind(0, address);
  await Promise.all([once(tcp, 'listening'), once(udp, 'listening')]);
  const tcpPort = (tcp.address() as AddressInfo).port;
  const udpPort = udp.address().port;
  const problems = await checkPorts([
    { what: 'HTTP', protocol: 'tcp', address, port: tcpPort },
    { what: 'TFTP', protocol: 'udp', address, port: udpPort },
    { what: 'DHCP', protocol: 'udp', address, port: 0 },
    { what: 'the console', protocol: 'tcp', address: '192.0.2.1', port: tcpPort },
  ]);
  tcp.close();
  udp.close();
  expect(problems.map((problem) => problem.message)).toEqual([
    `HTTP cannot listen on ${address}:${tcpPort}/tcp: another program does`,
    `TFTP cannot listen on ${address}:${udpPort}/udp: another program does`,
    `the console cannot listen on 192.0.2.1:${tcpPort}/tcp: this machine does not have that address`,
  ]);
  expect(problems.map((problem) => problem.hint)).toContain('stop that program; ss -lunp shows it');
});
