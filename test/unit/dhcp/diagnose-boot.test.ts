import { describe, expect, it } from 'vitest';
import { diagnoseBoot } from '../../../src/pxe/diagnose-boot.ts';
import type { WirePacket } from '../../../src/pxe/wire-packet.ts';
import { dhcpIn, dhcpOut, httpIn, httpOut, tftpEnd, tftpError, tftpIn } from './wire-packets.ts';

const loader = 'boot/loader/undionly.kpxe';
const script = '/boot/script?mac=52:54:00:00:00:21';

type Part = 'kernel' | 'initramfs' | 'root';

const leased = [
  dhcpIn('discover', { at: 0 }),
  dhcpOut('offer', { at: 1 }),
  dhcpIn('request', { at: 2 }),
  dhcpOut('ack', { at: 3 }),
];
const uefiLeased = leased.map((packet, i) =>
  i === 0 ? dhcpIn('discover', { arch: 'uefi' }) : packet,
);
const loaded = [
  tftpIn(loader, { at: 10 }),
  tftpEnd({ file: loader, outcome: 'delivered' }, { at: 20 }),
];
const scripted = [
  ...leased,
  ...loaded,
  httpIn(script, { at: 30 }),
  httpOut(script, 200, { at: 31 }),
];
const got = (part: Part, at: number) => [
  httpIn('/images/1', { at, part }),
  httpOut('/images/1', 200, { at, part }),
];
const started = [...scripted, ...got('kernel', 40), ...got('initramfs', 50)];
const said = (report: string, at: number, reason = '') =>
  httpOut('/report/1', 200, { at, report, reason });
const proxied = dhcpOut('offer', { at: 1, address: 'none' });

/** What is recognised: a sequence, and words of its verdict and of its hint. */
const stuck: readonly (readonly [string, readonly WirePacket[], RegExp, RegExp])[] = [
  ['nothing was seen', [], /no DISCOVER/, /cable.*VLAN.*relay/s],
  ['a DISCOVER is not answered', leased.slice(0, 1), /gets no answer/, /log says why/],
  ['an offer is not taken', leased.slice(0, 2), /does not take it/, /snooping|relay/],
  [
    'the offer of a proxy is not followed',
    [leased[0] as WirePacket, proxied],
    /no REQUEST came, and nothing on port 4011/,
    /one full offer.*dhcp: server.*HTTP Boot/,
  ],
  [
    'a ROM takes its address beside a proxy and forgets to boot',
    [leased[0] as WirePacket, proxied, dhcpIn('request', { at: 2, serverId: '10.77.0.9' })],
    /asked nothing on port 4011/,
    /this ROM wants one full offer/,
  ],
  [
    'another server was chosen',
    [...leased.slice(0, 2), dhcpIn('request', { at: 2, serverId: '10.77.0.9' })],
    /took that of the DHCP server 10\.77\.0\.9/,
    /turn that one off/,
  ],
  [
    'port 4011 is asked and not answered',
    [leased[0] as WirePacket, proxied, dhcpIn('request', { at: 2, port: 4011 })],
    /asked on port 4011/,
    /log/,
  ],
  [
    'port 4011 told a boot file that is not fetched',
    [
      leased[0] as WirePacket,
      proxied,
      dhcpIn('request', { at: 2, port: 4011 }),
      dhcpOut('ack', { at: 3, port: 4011, address: 'none' }),
    ],
    /told boot\/loader\/undionly\.kpxe on port 4011/,
    /port 69/,
  ],
  [
    'an address is refused',
    [...leased.slice(0, 3), dhcpOut('nak', { at: 3 })],
    /refused/,
    /off and on/,
  ],
  [
    'no loader is asked for',
    leased,
    /does not ask for its loader boot/,
    /UDP port 69.*rolecall probe/,
  ],
  [
    'no loader is asked for by HTTP',
    [
      ...leased.slice(0, 3),
      dhcpOut('ack', { at: 3, file: 'http://10.77.0.1/boot/loader/ipxe.efi' }),
    ],
    /does not ask for its loader http/,
    /TCP port/,
  ],
  [
    'there is nothing to boot',
    [...leased.slice(0, 3), dhcpOut('ack', { file: '' })],
    /nothing to boot/,
    /BIOS has no loader/,
  ],
  [
    'the loader is not found',
    [...leased, tftpIn('pxelinux.0', { at: 4 }), tftpError('file not found', { at: 5 })],
    /request for pxelinux\.0 was refused: file not found/,
    /another DHCP server tells it another name/,
  ],
  [
    'the loader that was told is not found',
    [...leased, tftpIn(loader, { at: 4 }), tftpError('file not found', { at: 5 })],
    /request for boot\/loader\/undionly\.kpxe was refused/,
    /rolecall build/,
  ],
  [
    'no data block arrives',
    [
      ...leased,
      tftpIn(loader, {}),
      tftpEnd({ file: loader, outcome: 'failed', bytes: 0, reason: 'no answer' }, {}),
    ],
    /broke off at block 0 of 48: no answer/,
    /1468.*MTU.*single-port/s,
  ],
  [
    'a transfer breaks off in its middle',
    [
      ...leased,
      tftpIn(loader, {}),
      tftpEnd({ file: loader, outcome: 'failed', bytes: 14_680, reason: 'no answer' }, {}),
    ],
    /broke off at block 10 of 48/,
    /losses/,
  ],
  [
    'a client gives up before the first block',
    [...leased, tftpIn(loader, {}), tftpEnd({ file: loader, outcome: 'cancelled', bytes: 0 }, {})],
    /gave up before the first block/,
    /single-port/,
  ],
  [
    'nothing follows the loader on BIOS',
    [...leased, ...loaded],
    /nothing came from the machine/,
    /^loader: firmware.*port fast/,
  ],
  [
    'nothing follows the loader on UEFI',
    [...uefiLeased, ...loaded],
    /nothing came from the machine/,
    /^Secure Boot.*secureBoot: true.*loader: firmware.*port fast/,
  ],
  [
    'the loader asks for what is not there',
    [
      ...uefiLeased,
      ...loaded,
      tftpIn('grubx64.efi', { at: 30 }),
      tftpError('file not found', { at: 31 }),
    ],
    /asked for grubx64\.efi and was refused/,
    /Secure Boot/,
  ],
  [
    'the loader does not hear the offer',
    [
      ...[...leased, ...loaded, dhcpIn('discover', { at: 30, via: 'rolecall' })],
      dhcpOut('offer', { at: 31, via: 'rolecall' }),
      dhcpIn('discover', { at: 40, via: 'rolecall' }),
    ],
    /does not hear it/,
    /spanning tree.*port fast/,
  ],
  [
    'the loader gets no answer',
    [...leased, ...loaded, dhcpIn('discover', { at: 30, via: 'rolecall' })],
    /the loader asks DHCP and gets no answer/,
    /log/,
  ],
  [
    'the loader does not fetch the script',
    [
      ...leased,
      ...loaded,
      dhcpIn('request', { at: 30, via: 'rolecall' }),
      dhcpOut('ack', { at: 31, via: 'rolecall' }),
    ],
    /asks for no boot script/,
    /TCP port/,
  ],
  [
    'the script is not answered',
    [...leased, ...loaded, httpIn(script, { at: 30 })],
    /not yet answered/,
    /busy/,
  ],
  ['the kernel is not fetched', scripted, /does not fetch its kernel/, /screen/],
  [
    'the script is an error',
    [...leased, ...loaded, httpOut(script, 500, { at: 31 })],
    /answered 500/,
    /log/,
  ],
  [
    'the kernel breaks off',
    [
      ...scripted,
      httpIn('/images/1', { at: 40, part: 'kernel' }),
      httpOut('/images/1', 200, { at: 41, part: 'kernel', whole: false }),
    ],
    /kernel broke off after 900 bytes/,
    /loader: firmware/,
  ],
  [
    'the initramfs is not fetched',
    [...scripted, ...got('kernel', 40)],
    /does not fetch the initramfs/,
    /Secure Boot/,
  ],
  ['Linux says nothing', started, /Linux says nothing/, /console:.*memory.*driver/s],
  [
    'Linux does not ask for its root',
    [...started, said('kernel', 60)],
    /does not ask for its root/,
    /console/,
  ],
  [
    'the root is slow',
    [...started, said('kernel', 60), httpIn('/images/1', { at: 61, part: 'root' })],
    /fetches its root/,
    /ethtool/,
  ],
  [
    'the root breaks off',
    [
      ...started,
      said('kernel', 60),
      httpOut('/images/1', 200, { at: 61, part: 'root', whole: false }),
    ],
    /root broke off/,
    /memory/,
  ],
  [
    'nothing follows the root',
    [...started, said('kernel', 60), ...got('root', 70)],
    /says nothing since/,
    /memory/,
  ],
  [
    'the overlay does not follow',
    [...started, said('root', 60)],
    /overlay is not unpacked/,
    /console/,
  ],
  ['a role is not ready', [...started, said('overlay', 60)], /not ready/, /journalctl/],
];

describe('a machine that does not come up', () => {
  it.each(stuck)('%s', (_what, packets, verdict, hint) => {
    const found = diagnoseBoot(packets, 3_600_000);
    expect(found.verdict).toMatch(verdict);
    expect(found.hint).toMatch(hint);
    expect(found.state).toBe('stuck');
  });

  it.each(stuck.filter(([, packets]) => packets.length > 0))(
    'is waited for: %s',
    (_what, packets) => {
      const last = Math.max(...packets.map((packet) => packet.at));
      const { state, dueAt } = diagnoseBoot(packets, last);
      expect(state).toBe('waiting');
      expect(diagnoseBoot(packets, dueAt - 1).state).toBe('waiting');
      expect(diagnoseBoot(packets, dueAt).state).toBe('stuck');
    },
  );
});

describe('a machine that was told no, or says so', () => {
  it.each([
    ['a digest', said('failed', 60, 'the root has another digest'), /failed: the root/, /verify/],
    ['anything else', said('failed', 60, 'no memory'), /failed: no memory/, /console/],
    [
      'a role',
      [said('overlay', 60), said('failed', 90, 'mail: no answer')],
      /failed: mail: no answer/,
      /rolecall role show .* journalctl/,
    ],
    [
      'a refusal',
      httpOut(script, 200, { at: 31, refused: 'no image is published' }),
      /refused: no image/,
      /rolecall explain/,
    ],
  ] as const)('%s', (_what, end, verdict, hint) => {
    const found = diagnoseBoot([...scripted, end].flat(), 100);
    expect(found).toMatchObject({ state: 'failed' });
    expect(found.verdict).toMatch(verdict);
    expect(found.hint).toMatch(hint);
  });
});

it('a machine that gave its address back is not stuck', () => {
  const packets = [...leased, dhcpIn('release', { at: 4 })];
  expect(diagnoseBoot(packets, 1e9)).toMatchObject({ state: 'waiting', hint: '' });
});

it('firmware that releases before it starts its loader is still waited for', () => {
  const packets = [...leased, ...loaded, dhcpIn('release', { at: 25 })];
  expect(diagnoseBoot(packets, 1e9)).toMatchObject({ state: 'stuck' });
});

it('a machine that is ready has no hint', () => {
  const packets = [
    ...started,
    said('kernel', 60),
    ...got('root', 70),
    said('overlay', 80),
    said('ready', 90),
  ];
  expect(diagnoseBoot(packets, 1e9)).toMatchObject({
    state: 'ready',
    verdict: 'it is ready',
    hint: '',
  });
});
