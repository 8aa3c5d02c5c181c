import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createNamespace, createSwitch, type Namespace, plugInto } from './namespace.ts';

const tickle = resolve(
  import.meta.dirname,
  '../../roles/storage/files/usr/lib/rolecall/volume-tickle',
);
const vip = '10.77.0.110';
const hosts: Namespace[] = [];

async function addHost(at: Namespace, name: string, address: string): Promise<Namespace> {
  const host = await createNamespace(name);
  hosts.push(host);
  await plugInto(host, at, 'lan', name);
  await host.ip(`address add ${address}/24 dev eth0`);
  return host;
}

let lan: Namespace;
let [client, lost, next] = [] as unknown as [Namespace, Namespace, Namespace];

beforeAll(async () => {
  lan = await createNamespace('lan');
  await createSwitch(lan, 'lan');
  client = await addHost(lan, 'client', '10.77.0.21');
  lost = await addHost(lan, 'lost', '10.77.0.31');
  next = await addHost(lan, 'next', '10.77.0.32');
});
afterAll(async () => {
  for (const host of [...hosts, lan]) await host?.remove();
});

const listen = `use Socket; $| = 1;
socket my $s, PF_INET, SOCK_STREAM, 0; bind $s, pack_sockaddr_in 2049, inet_aton "${vip}" or die $!;
listen $s, 1; accept my $c, $s; sysread $c, my $got, 4 or die $!; print "got $got\\n"; sleep 60;`;

// From a port of those that NFS clients use, with a request for which no answer comes.
const ask = `use Socket; $| = 1;
socket my $s, PF_INET, SOCK_STREAM, 0; bind $s, pack_sockaddr_in 731, inet_aton "10.77.0.21" or die $!;
connect $s, pack_sockaddr_in 2049, inet_aton "${vip}" or die $!; syswrite $s, "ping"; print "asked\\n";
sysread $s, my $got, 4; print "ended: $!\\n";`;

it('a client whose server is gone hears of it from who takes its address over', async () => {
  await lost.ip(`address add ${vip}/32 dev eth0`);
  const server = lost.start('perl', ['-e', listen]);
  await sleep(500);
  const asking = client.start('perl', ['-e', ask]);
  await server.line('a request', (line) => line === 'got ping');

  await lan.ip('link set lost down');
  await sleep(1000);
  expect(asking.lines, 'it waits').toEqual(['asked']);
  await next.ip(`address add ${vip}/32 dev eth0`);
  await next.run('busybox', ['arping', '-q', '-U', '-c', '1', '-I', 'eth0', vip], { accept: [1] });
  // Clients that are off hold up nobody.
  const off = Array.from({ length: 20 }, (_, i) => `10.77.0.${200 + i}\n`).join('');
  const since = Date.now();
  await next.run('perl', [tickle, vip], { input: `${off}10.77.0.21\n` });
  const end = await asking.line('an end', (line) => line.startsWith('ended'));
  expect(end).toBe('ended: Connection reset by peer');
  expect(Date.now() - since).toBeLessThan(15_000);
});
