import { describe, expect, it } from 'vitest';
import { identifyMachine } from '../../../src/boot/identify-machine.ts';
import type { DhcpFacts } from '../../../src/pxe/dhcp-decision.ts';
import { parseSubOptions, readText } from '../../../src/pxe/dhcp-options.ts';
import { decideDhcpReply } from '../../../src/pxe/dhcp-reply.ts';
import { aDhcpSite, aNode, ip, link, serverAddress, strangerMac } from './a-dhcp-site.ts';
import { addressFacts } from './address-facts.ts';
import { client, type Said, speaker } from './messages.ts';

const asker = { address: ip('10.77.0.52'), port: 68 };
const proxied = aDhcpSite({ boot: { dhcp: 'proxy' } });

function decide(said: Said, change: Partial<DhcpFacts> = {}) {
  const who = client(said);
  const site = change.site ?? proxied;
  return decideDhcpReply(who, {
    site,
    machine: identifyMachine(site, { mac: who.mac }),
    serverAddress,
    httpServer: 'http://10.77.0.1',
    ...addressFacts(0),
    isOurLoader: false,
    ports: { server: 67, client: 68 },
    now: 0,
    ...change,
  });
}

function replied(said: Said, change?: Partial<DhcpFacts>) {
  const decision = decide(said, change);
  if (decision.kind === 'ignore') throw new Error(decision.reason);
  const { options } = decision.packet;
  return { ...decision, options, text: (code: number) => readText(options.get(code)) };
}

describe('beside another DHCP server', () => {
  it('firmware is told what to load, and gets no address', () => {
    const uuid = Uint8Array.of(0, ...Array.from({ length: 16 }, (_, i) => i + 1));
    const { packet, to, options, event, changes } = replied({
      options: { ...speaker.bios, 97: uuid, 61: 'me' },
    });
    expect(packet).toMatchObject({
      yiaddr: '0.0.0.0',
      ciaddr: '0.0.0.0',
      siaddr: '10.77.0.1',
      sname: '10.77.0.1',
      file: 'boot/loader/undionly.kpxe',
    });
    expect(to).toEqual({ address: '255.255.255.255', port: 68 });
    expect([...options.keys()].slice(0, 2)).toEqual([53, 54]);
    expect(options.get(53)).toEqual(Uint8Array.of(2));
    expect(options.get(97)).toEqual(uuid);
    expect(readText(options.get(61))).toBe('me');
    // Nothing that belongs to an address.
    for (const code of [1, 3, 6, 15, 28, 42, 51, 58, 59]) expect(options.has(code)).toBe(false);
    expect(changes).toEqual([]);
    expect(event).toEqual({
      kind: 'proxy-answered',
      port: 'dhcp',
      via: 'pxe',
      client: 'PXE firmware (BIOS)',
      file: 'boot/loader/undionly.kpxe',
    });
  });

  it('a BIOS is told to load the file of the offer at once, UEFI to ask on port 4011', () => {
    const bios = replied({ options: speaker.bios });
    expect(bios.text(60)).toBe('PXEClient');
    expect(parseSubOptions(bios.options.get(43)).get(6)).toEqual(Buffer.of(8));
    const uefi = replied({ options: speaker.uefi });
    expect(uefi.text(60)).toBe('PXEClient');
    expect(uefi.options.has(43)).toBe(false);
  });

  it.each([
    ['HTTP Boot', speaker.http, 'HTTPClient', 'http://10.77.0.1/boot/loader/ipxe.efi'],
    ['an iPXE in a card', speaker.ipxe, 'PXEClient', 'boot/loader/undionly.kpxe'],
    [
      'our loader',
      speaker.rolecall,
      'PXEClient',
      `http://10.77.0.1/boot/script?mac=52:54:00:00:00:21&uuid=\${uuid}&serial=\${serial:uristring}`,
    ],
  ])('%s is told in its own words', (_who, options, vendorClass, file) => {
    const told = replied({ options });
    expect(told.text(60)).toBe(vendorClass);
    expect(told.text(67)).toBe(file);
  });

  it('the loader finds its script in the answers that its firmware keeps', () => {
    for (const change of [{}, { bootServerAsker: asker }]) {
      const type = 'bootServerAsker' in change ? 'request' : 'discover';
      const told = replied({ type, options: speaker.uefi }, change);
      const line = readText(parseSubOptions(told.options.get(175)).get(0x51));
      expect(line).toContain(`chain \${u}`);
      expect(told.text(210)).toMatch(/^http:\/\/10\.77\.0\.1\/boot\/script\?mac=/);
    }
  });

  it('an operating system is left to the other server, whoever it is', () => {
    for (const site of [proxied, aDhcpSite({ boot: { dhcp: 'proxy' }, unknown: 'ignore' })]) {
      for (const type of ['discover', 'request', 'inform'] as const) {
        const decision = decide({ mac: strangerMac, type, requested: '10.77.0.52' }, { site });
        expect(decision).toMatchObject({ kind: 'ignore', changes: [] });
        expect(decision.event).toBeUndefined();
      }
    }
  });

  it('a machine that the site ignores is refused', () => {
    const site = aDhcpSite({ boot: { dhcp: 'proxy' }, unknown: 'ignore' });
    const decision = decide({ mac: strangerMac, options: speaker.uefi }, { site });
    expect(decision).toMatchObject({ kind: 'ignore', event: { kind: 'dhcp-refused' } });
  });

  it('a node without a link there is refused', () => {
    const node = aNode('far1', [link('rack2', '10.78.0.21', [], true)], { macs: [strangerMac] });
    const site = aDhcpSite({ boot: { dhcp: 'proxy' }, nodes: [node] });
    expect(decide({ mac: strangerMac, options: speaker.uefi }, { site })).toMatchObject({
      kind: 'ignore',
      reason: 'nodes/far1.yaml has no link on network boot, only on rack2',
    });
  });

  it.each(['decline', 'release', 'inform'] as const)('%s is for the other server', (type) => {
    const decision = decide({ type, options: speaker.uefi, ciaddr: '10.77.0.52' });
    expect(decision).toMatchObject({ kind: 'ignore', changes: [] });
    expect(decision.event).toBeUndefined();
  });

  it('an offer through a relay goes to the relay', () => {
    const site = aDhcpSite({ boot: { dhcp: 'proxy' } });
    const { to } = replied({ giaddr: '10.77.0.254', options: speaker.uefi }, { site });
    expect(to).toEqual({ address: '10.77.0.254', port: 67 });
  });
});

describe('the REQUEST to the other server', () => {
  const request: Said = { type: 'request', serverId: '10.77.0.2', options: speaker.uefi };

  it('tells which address the machine takes, and is not answered', () => {
    expect(decide({ ...request, mac: strangerMac, requested: '10.77.0.52' })).toMatchObject({
      kind: 'ignore',
      event: { kind: 'address-taken', address: '10.77.0.52', server: '10.77.0.2', via: 'pxe' },
    });
  });

  it('for the address of the role file is nothing to mind', () => {
    const { event } = decide({ ...request, requested: '10.77.0.21' });
    expect(event).toEqual({
      kind: 'address-taken',
      address: '10.77.0.21',
      server: '10.77.0.2',
      via: 'pxe',
    });
  });

  it('for another address says what to reserve', () => {
    expect(decide({ ...request, requested: '10.77.0.52' }).event).toMatchObject({
      warning:
        'the other DHCP server, 10.77.0.2, gave 10.77.0.52 to web1; its role file says 10.77.0.21: reserve 10.77.0.21 for 52:54:00:00:00:21 there',
    });
  });
});

describe('port 4011', () => {
  const asked: Said = { type: 'request', ciaddr: '10.77.0.52', options: speaker.uefi };

  it.each([
    ['proxy', proxied],
    ['server', aDhcpSite()],
  ])('says the loader to firmware that asks there, in mode %s', (_mode, site) => {
    const told = replied(asked, { site, bootServerAsker: { ...asker, port: 4321 } });
    expect(told.to).toEqual({ address: '10.77.0.52', port: 4321 });
    expect(told.options.get(53)).toEqual(Uint8Array.of(5));
    expect(told.text(60)).toBe('PXEClient');
    expect(told.packet).toMatchObject({
      ciaddr: '10.77.0.52',
      yiaddr: '0.0.0.0',
      siaddr: '10.77.0.1',
      file: 'boot/loader/ipxe.efi',
    });
    expect(told.event).toMatchObject({
      kind: 'proxy-answered',
      port: 'boot-server',
      address: '10.77.0.52',
    });
  });

  it('answers INFORM, and who does not say its address at the one it sends from', () => {
    const told = replied({ type: 'inform', options: speaker.uefi }, { bootServerAsker: asker });
    expect(told.to).toEqual(asker);
  });

  it('answers no DISCOVER, and no operating system', () => {
    const change = { bootServerAsker: asker };
    expect(decide({ options: speaker.uefi }, change).kind).toBe('ignore');
    expect(decide({ type: 'request', ciaddr: '10.77.0.52' }, change).kind).toBe('ignore');
    const site = aDhcpSite();
    expect(decide({ type: 'inform', ciaddr: '10.77.0.52' }, { ...change, site }).kind).toBe(
      'ignore',
    );
  });
});
