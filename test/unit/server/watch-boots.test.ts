import { afterEach, beforeEach, expect, it } from 'vitest';
import { createBootSet } from '../../../src/boot/boot-set.ts';
import { digestOf } from '../../../src/digest.ts';
import { macFromBytes } from '../../../src/net/mac.ts';
import { describePacket } from '../../../src/pxe/wire-packet.ts';
import type { JournalEntry } from '../../../src/server/journal.ts';
import { type BootWatch, startBootWatch } from '../../../src/server/watch-boots.ts';
import { ip, web1Mac } from '../dhcp/a-dhcp-site.ts';
import { dhcpIn, dhcpOut, httpOut, tftpEnd } from '../dhcp/wire-packets.ts';

const blob = (text: string) => ({ digest: digestOf(text), size: text.length });
const set = createBootSet({
  ...{ node: 'web1', roles: ['web'], image: digestOf('image'), arguments: [] },
  ...{
    kernel: blob('kernel'),
    initramfs: blob('initrd'),
    root: [blob('root')],
    overlay: blob('tar'),
  },
});
const record = {
  ...{ bootId: 'b'.repeat(32), machine: web1Mac, node: 'web1', set, tokenHash: digestOf('t') },
  ...{
    runs: set,
    offered: null,
    tokenUsedAt: null,
    createdAt: 0,
    address: ip('10.77.0.21'),
    lastReportAt: null,
  },
  lastStage: '',
} as const;

let now = 0;
let entries: JournalEntry[] = [];
let watch: BootWatch;

beforeEach(() => {
  now = 0;
  entries = [];
  watch = startBootWatch({
    boots: { latestAt: (address) => (address === '10.77.0.21' ? record : undefined) },
    journal: { add: (entry) => entries.push(entry), machines: () => new Map() },
    now: () => now,
  });
});
afterEach(() => watch.stop());

const lookAt = (at: number) => {
  now = at;
  watch.look();
};

it('says once that a boot does not go on, and again where it is stuck elsewhere', () => {
  watch.note(dhcpIn('discover', { at: 0 }));
  watch.note(dhcpOut('offer', { at: 1 }));
  lookAt(5_000);
  expect(entries).toEqual([]);
  lookAt(20_000);
  lookAt(22_000);
  watch.note(dhcpIn('discover', { at: 23_000 }));
  watch.note(dhcpOut('offer', { at: 23_001 }));
  lookAt(40_000);
  expect(entries).toEqual([
    {
      ...{ machine: web1Mac, node: '', kind: 'warning', stalled: true },
      reason: expect.stringMatching(/^an offer was sent, and it does not take it: /),
    },
  ]);
  watch.note(dhcpIn('request', { at: 41_000 }));
  watch.note(dhcpOut('ack', { at: 41_001 }));
  watch.note(tftpEnd({ file: 'a.efi', outcome: 'delivered' }, { at: 42_000 }));
  lookAt(43_000);
  expect(entries).toHaveLength(1);
  lookAt(120_000);
  expect(entries[1]).toMatchObject({ reason: expect.stringMatching(/^the loader was sent/) });
});

it('says it anew of another boot', () => {
  for (const start of [0, 400_000]) {
    watch.note(dhcpIn('discover', { at: start }));
    lookAt(start + 60_000);
  }
  expect(entries).toHaveLength(2);
});

it('writes no log of thousands where thousands are stuck', () => {
  for (let i = 0; i < 400; i += 1) {
    const machine = macFromBytes(Uint8Array.of(2, 0, 0, 0, i >> 8, i & 255));
    watch.note({ ...dhcpIn('discover', { at: 0 }), ...(machine ? { machine } : {}) });
  }
  lookAt(30_000);
  lookAt(32_000);
  expect(entries).toHaveLength(30);
  lookAt(95_000);
  expect(entries).toHaveLength(60);
});

it('knows which part of a boot set a path means', () => {
  watch.note(dhcpIn('discover', {}));
  watch.note(dhcpOut('ack', {}));
  watch.note(httpOut(`/images/${set.kernel.digest}`, 200, {}));
  watch.note(httpOut(`//boot/overlay/${set.overlay.digest}`, 200, {}));
  watch.note(httpOut(`/images/${digestOf('another')}`, 404, {}));
  expect(watch.trace.of(web1Mac)?.packets.slice(2).map(describePacket)).toEqual([
    'GET kernel → 200, 900 bytes',
    'GET overlay → 200, 900 bytes',
    `GET /images/${digestOf('another')} → 404, 900 bytes`,
  ]);
});
