import { describe, expect, it } from 'vitest';
import { identifyMachine } from '../../../src/boot/identify-machine.ts';
import { packDhcpPacket, parseDhcpPacket } from '../../../src/pxe/dhcp-packet.ts';
import { decideDhcpReply } from '../../../src/pxe/dhcp-reply.ts';
import {
  placeOptions,
  roomOfAll,
  writeAllOptions,
  writeOptions,
} from '../../../src/pxe/write-options.ts';
import { aDhcpSite, serverAddress } from './a-dhcp-site.ts';
import { addressFacts } from './address-facts.ts';
import { client, message, type Said, speaker } from './messages.ts';

function reparsed(bytes: Uint8Array) {
  const parsed = parseDhcpPacket(bytes);
  if (parsed.kind === 'refusal') throw new Error(parsed.reason);
  return parsed.packet;
}

describe('a message whose options do not fit', () => {
  const long = (code: number, bytes: number) => [code, new Uint8Array(bytes).fill(code)] as const;
  const packet = {
    ...message(),
    options: new Map([...message().options, long(224, 200), long(225, 60), long(226, 40)]),
  };

  it('has the rest in file and sname where these are free (option 52)', () => {
    const bytes = packDhcpPacket(packet, 460);
    expect(bytes.length).toBeLessThanOrEqual(460);
    // The overload mark stands behind the message type.
    expect([...bytes.subarray(240, 246)]).toEqual([53, 1, 1, 52, 1, 1]);
    const again = reparsed(bytes);
    expect(again.options.get(224)).toHaveLength(200);
    expect(again.options.get(225)).toHaveLength(60);
    expect(again.options.get(226)).toHaveLength(40);
    expect(again).toMatchObject({ file: '', sname: '' });
  });

  it('uses sname too where file does not do', () => {
    const more = { ...packet, options: new Map([...packet.options, long(227, 60), long(228, 20)]) };
    const bytes = packDhcpPacket(more, 460);
    expect([...bytes.subarray(240, 246)]).toEqual([53, 1, 1, 52, 1, 3]);
    const again = reparsed(bytes);
    expect([...again.options.keys()].sort((a, b) => a - b)).toEqual([53, 224, 225, 226, 227, 228]);
  });

  it('keeps a file or sname that is there, and leaves later options out', () => {
    const named = { ...packet, file: 'boot/loader', sname: '10.77.0.1' };
    const again = reparsed(packDhcpPacket(named, 460));
    expect(again).toMatchObject({ file: 'boot/loader', sname: '10.77.0.1' });
    expect(again.options.has(52)).toBe(false);
    expect(again.options.get(224)).toHaveLength(200);
    expect(again.options.has(225)).toBe(false);
  });

  it('is as it was where all fit', () => {
    expect(reparsed(packDhcpPacket(packet, 600)).options.has(52)).toBe(false);
  });

  it('puts what an answer needs first, whatever stands before it', () => {
    const options = new Map<number, Uint8Array>([long(224, 30), [53, Uint8Array.of(5)]]);
    const placed = placeOptions(options, 10);
    const bytes = new Uint8Array(placed.bytes);
    writeOptions(placed, bytes, 0);
    expect([...bytes]).toEqual([53, 1, 5, 255]);
  });

  it('writes them in the same order whether or not their places are looked for', () => {
    const options = new Map([
      [82, Uint8Array.of(9, 9)],
      long(224, 300),
      [53, Uint8Array.of(5)],
      [12, Uint8Array.of(97)],
      [51, Uint8Array.of(0, 0, 1, 0)],
    ] as const);
    const placed = placeOptions(options, 1000);
    const [sought, whole] = [new Uint8Array(placed.bytes), new Uint8Array(roomOfAll(options))];
    writeOptions(placed, sought, 0);
    writeAllOptions(options, whole, 0);
    expect(whole).toEqual(sought);
    expect(whole.subarray(-5)).toEqual(Uint8Array.of(82, 2, 9, 9, 255));
  });
});

/** DISCOVER through a relay that adds this much. */
function answered(agentBytes: number, said: Said = {}) {
  const agent = new Uint8Array(agentBytes).fill(9);
  const relayed = { ...said, giaddr: '10.77.0.254', options: { ...said.options, 82: agent } };
  const who = client(relayed);
  const site = aDhcpSite();
  const decision = decideDhcpReply(who, {
    site,
    machine: identifyMachine(site, { mac: who.mac }),
    ...{ serverAddress, httpServer: 'http://10.77.0.1' },
    ...addressFacts(0),
    isOurLoader: false,
    ports: { server: 67, client: 68 },
    now: 0,
  });
  return { decision, agent, maxBytes: who.maxBytes };
}

describe('option 82', () => {
  it.each([0, 1, 255, 256, 600, 900])(
    'of %i bytes comes back whole, as the last, and takes no room from the client',
    (bytes) => {
      const { decision, agent } = answered(bytes, { options: speaker.bios });
      if (decision.kind === 'ignore') throw new Error(decision.reason);
      const packed = packDhcpPacket(decision.packet, decision.maxBytes);
      expect(packed.length).toBeLessThanOrEqual(1472);
      const again = reparsed(packed);
      expect(again.options.get(53)).toEqual(Uint8Array.of(2));
      expect(again.options.get(54)).toBeDefined();
      expect(again.options.get(67)).toBeDefined();
      expect(again.options.get(82)).toEqual(Uint8Array.from(agent));
      expect([...again.options.keys()].at(-1)).toBe(82);
      if (bytes <= 600) expect(again.options.get(175)).toBeDefined();
    },
  );

  it('so long that no answer has room for it is refused with a reason', () => {
    const { decision } = answered(1300, { options: speaker.bios });
    expect(decision).toMatchObject({
      kind: 'ignore',
      node: 'web1',
      changes: [],
      event: { kind: 'dhcp-refused' },
      reason:
        'its relay adds 1300 bytes of option 82, and an answer of 1472 bytes has no room to give them back; let the relay add less',
    });
  });
});
