import { createSocket } from 'node:dgram';
import { packDhcpPacket, parseDhcpPacket } from '../../src/pxe/dhcp-packet.ts';
import { message } from '../unit/dhcp/messages.ts';

// Run in a client's network namespace: `node broadcasting-client.ts MAC MILLISECONDS`. Broadcasts one DISCOVER
// and prints a JSON line for every answer that it hears: from where, and which address it offers.
const [mac = '', wait = '1000'] = process.argv.slice(2);
const socket = createSocket({ type: 'udp4', reuseAddr: true });
socket.on('message', (bytes, from) => {
  const parsed = parseDhcpPacket(bytes);
  if (parsed.kind === 'refusal' || parsed.packet.op !== 'reply') return;
  const { yiaddr } = parsed.packet;
  const serverId = [...(parsed.packet.options.get(54) ?? [])].join('.');
  process.stdout.write(`${JSON.stringify({ from: from.address, yiaddr, serverId })}\n`);
});
socket.bind(68, () => {
  socket.setBroadcast(true);
  if (mac !== '') socket.send(packDhcpPacket(message({ mac })), 67, '255.255.255.255');
  setTimeout(() => socket.close(), Number(wait));
});
