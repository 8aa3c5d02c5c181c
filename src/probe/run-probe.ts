import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import { noAddress } from '../pxe/dhcp-packet.ts';
import { neighbourOf } from '../system/neighbours.ts';
import {
  type Expected,
  judgeForeignOffers,
  judgeOwnOffer,
  ownOffer,
  type ProbeRow,
} from './judge-offers.ts';
import { type Heard, openProbeSocket, type ProbeSocket } from './probe-socket.ts';
import {
  bootServerMessage,
  type ClientKind,
  discoverMessage,
  releaseMessage,
  requestMessage,
  type SimulatedClient,
} from './simulated-client.ts';
import { createBootWalk } from './walk-boot.ts';

export interface ProbeOptions {
  /** The address of this machine on the segment. */
  readonly from: Ipv4;
  readonly expected: Expected;
  readonly kinds: readonly ClientKind[];
  readonly mac: MacAddress;
  /** Whether nobody else has that MAC: then its address is given back. */
  readonly madeUp: boolean;
  /** Asks the boot server alone, as a relay on this machine's network would. */
  readonly asRelay: boolean;
  /** Milliseconds for offers. */
  readonly listen: number;
}

/** Milliseconds for the answer of a server that has made an offer. */
const answerTime = 3000;

/** Plays machines that boot; says of every step whether it is as it should be. */
export async function runProbe(options: ProbeOptions): Promise<readonly ProbeRow[]> {
  const { expected, from, asRelay } = options;
  const socket = await openProbeSocket(from, asRelay ? 'relay' : 'client');
  const clients = new Map<ClientKind, SimulatedClient>();
  for (const kind of options.kinds) {
    const xid = randomInt(2 ** 32);
    clients.set(kind, { kind, mac: options.mac, xid, ...(asRelay ? { giaddr: from } : {}) });
  }
  const everyone = asRelay ? expected.server : '255.255.255.255';
  const toServers = { address: everyone, port: 67 };
  try {
    for (const client of clients.values()) await socket.send(discoverMessage(client), toServers);
    await delay(options.listen);
    await meetStrangers(socket, expected);
    const byXid = new Map([...clients.values()].map(({ xid, kind }) => [xid, kind]));
    const macs = await macsOf(socket.heard);
    const rows = [...judgeForeignOffers(socket.heard, byXid, expected, (from) => macs.get(from))];
    const offers = new Map<ClientKind, Heard>();
    for (const [kind, { xid }] of clients) {
      const own = ownOffer(socket.heard, xid, expected);
      rows.push(...judgeOwnOffer(kind, own, expected));
      if (own) offers.set(kind, own);
    }
    const walk = createBootWalk(httpServerOf(offers, expected));
    let leased: Ipv4 | undefined;
    for (const [kind, offer] of offers) {
      const client = clients.get(kind) as SimulatedClient;
      const told = await takeOffer(socket, client, offer, toServers, options);
      rows.push(told.row);
      const { answer } = told;
      if (!answer) continue;
      if (answer.address !== noAddress) leased = answer.address;
      const { file } = answer;
      if (file === '') continue;
      rows.push(...(await (kind === 'loader' ? walk.script : walk.loader)(kind, answer)));
    }
    const client = [...clients.values()][0];
    if (leased !== undefined && client) rows.push(await giveBack(socket, client, leased, options));
    return rows;
  } finally {
    await socket.close();
  }
}

/** A datagram to who has only been heard makes the kernel ask for its MAC; port 9 discards it (RFC 863). */
async function meetStrangers(socket: ProbeSocket, { server }: Expected): Promise<void> {
  const strangers = new Set(socket.heard.map(({ from }) => from).filter((from) => from !== server));
  for (const address of strangers) {
    await socket.send(new Uint8Array(), { address, port: 9 }).catch(() => {});
  }
  if (strangers.size > 0) await delay(300);
}

/** The acknowledgement, or, beside another DHCP server, the boot server's word on port 4011. */
async function takeOffer(
  socket: ProbeSocket,
  client: SimulatedClient,
  offer: Heard,
  toServers: { readonly address: string; readonly port: number },
  { expected, from }: ProbeOptions,
): Promise<{ readonly row: ProbeRow; readonly answer?: Heard['answer'] }> {
  const { kind } = client;
  const { address } = offer.answer;
  if (address === noAddress) {
    // HTTP Boot and loaders take all they need from the offer.
    if (kind === 'uefi-http' || kind === 'loader') {
      const detail = 'it needs no more than the offer';
      return {
        row: { ...{ client: kind, step: 'acknowledgement', result: 'ok' }, detail, hint: '' },
        answer: offer.answer,
      };
    }
    const before = socket.heard.length;
    await socket.send(bootServerMessage(client, from), { address: expected.server, port: 4011 });
    const answer = await nextAnswer(socket, before, client.xid);
    return judgeTaken(kind, 'port 4011', answer, expected);
  }
  const before = socket.heard.length;
  const taken = { address, serverId: offer.answer.serverId ?? expected.server };
  await socket.send(requestMessage(client, taken), toServers);
  const answer = await nextAnswer(socket, before, client.xid);
  return judgeTaken(kind, 'acknowledgement', answer, expected);
}

function judgeTaken(
  client: ClientKind,
  step: string,
  heard: Heard | undefined,
  { server }: Expected,
): { readonly row: ProbeRow; readonly answer?: Heard['answer'] } {
  const wrong = (detail: string, hint: string) => ({
    row: { client, step, result: 'wrong', detail, hint } as const,
  });
  if (!heard) return wrong(`${server} does not answer`, "the server's log says why");
  const { answer } = heard;
  if (answer.type === 'nak') return wrong(`${server} says no: ${answer.message}`, '');
  const gave = answer.address === noAddress ? '' : `${answer.address}, `;
  const detail = `${server} acknowledges ${gave}${answer.file || 'nothing to boot'}`;
  return { row: { client, step, result: 'ok', detail, hint: '' }, answer };
}

async function nextAnswer(
  socket: ProbeSocket,
  before: number,
  xid: number,
): Promise<Heard | undefined> {
  const end = Date.now() + answerTime;
  while (Date.now() < end) {
    const found = socket.heard
      .slice(before)
      .find(({ answer }) => answer.xid === xid && answer.type !== 'offer');
    if (found) return found;
    await delay(20);
  }
  return undefined;
}

async function giveBack(
  socket: ProbeSocket,
  client: SimulatedClient,
  address: Ipv4,
  { expected, madeUp, mac }: ProbeOptions,
): Promise<ProbeRow> {
  const about = { client: 'segment', step: 'address', result: 'note', hint: '' } as const;
  if (!madeUp) return { ...about, detail: `${mac} keeps ${address}: it may be in use` };
  const lease = { address, serverId: expected.server };
  await socket.send(releaseMessage(client, lease), { address: expected.server, port: 67 });
  const shown = `shows as spare-${mac.replaceAll(':', '')} for an hour`;
  return { ...about, detail: `${address} was taken for ${mac} and given back; that MAC ${shown}` };
}

/** Loaders over HTTP come from where the script does; its port may not be 80. */
function httpServerOf(offers: ReadonlyMap<ClientKind, Heard>, { server }: Expected): string {
  for (const { answer } of offers.values()) {
    if (/^https?:/.test(answer.file)) return URL.parse(answer.file)?.origin ?? `http://${server}`;
  }
  return `http://${server}`;
}

async function macsOf(heard: readonly Heard[]): Promise<ReadonlyMap<string, MacAddress>> {
  const macs = new Map<string, MacAddress>();
  for (const { from } of heard) {
    const mac = await neighbourOf(from as Ipv4);
    if (mac) macs.set(from, mac);
  }
  return macs;
}
