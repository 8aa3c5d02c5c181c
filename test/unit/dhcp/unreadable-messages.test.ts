import { expect, it } from 'vitest';
import { createUnreadableMessages } from '../../../src/pxe/unreadable-messages.ts';

it('a flood of garbage is told of in part, with the number of what is left out', () => {
  const lines: string[] = [];
  const unreadable = createUnreadableMessages((line) => lines.push(line));
  const bytes = new Uint8Array(300);
  bytes.set([0x52, 0x54, 0, 0, 0, 0x11], 28);
  for (let n = 0; n < 5000; n += 1) unreadable.tell(bytes, '0.0.0.0', 'it is a reply', 0);
  expect(lines).toHaveLength(20);
  expect(lines[0]).toBe(
    'dhcp: a message of 0.0.0.0, hardware address 52:54:00:00:00:11, is not answered: it is a reply',
  );
  unreadable.tell(bytes.subarray(0, 12), '10.77.0.9', '12 bytes are no DHCP message', 10_000);
  expect(lines.slice(20)).toEqual([
    'dhcp: a message of 10.77.0.9 is not answered: 12 bytes are no DHCP message; before it 4980 more that are not told of',
  ]);
});
