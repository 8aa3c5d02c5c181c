import { createRequire } from 'node:module';

// `node dhcp-npm-client.ts MAC`: one exchange with the `dhcp` package, posing as PXE firmware.
// Prints OFFER and ACK as its own codec reads them, one JSON line each.
interface Message {
  readonly yiaddr: string;
  readonly options: Readonly<Record<number, unknown>>;
}
interface Client {
  on(event: 'message' | 'error', listener: (message: Message) => void): void;
  listen(port: number, host: string, done: () => void): void;
  sendDiscover(): void;
  close(): void;
  _send(host: string, message: { options: Record<number, unknown> }): void;
}
interface DhcpPackage {
  createClient(options: object): Client;
  addOption(code: number, option: object): void;
}
const dhcp = createRequire(import.meta.url)('dhcp') as DhcpPackage;
dhcp.addOption(93, { name: 'Client architecture', type: 'UInt16' });

const client = dhcp.createClient({ mac: process.argv[2], features: ['hostname'] });
const send = client._send.bind(client);
let offered: Message | undefined;
client._send = (host, message) => {
  Object.assign(message.options, { 60: 'PXEClient:Arch:00000:UNDI:002001', 93: 0 });
  // The package leaves server identifier and address out of its REQUEST (RFC 2131 table 4 wants both).
  if (offered) Object.assign(message.options, { 50: offered.yiaddr, 54: offered.options[54] });
  send(host, message);
};
client.on('message', (message) => {
  process.stdout.write(`${JSON.stringify(message)}\n`);
  if (offered) client.close();
  offered = message;
});
client.on('error', (error) => {
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
});
client.listen(68, '0.0.0.0', () => client.sendDiscover());
