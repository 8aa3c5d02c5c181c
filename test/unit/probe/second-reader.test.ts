import { expect, it, vi } from 'vitest';
import { disagreements } from '../../../src/probe/second-reader.ts';
import { readServerAnswer } from '../../../src/probe/simulated-client.ts';
import { packDhcpPacket, parseDhcpPacket } from '../../../src/pxe/dhcp-packet.ts';
import { dhcpOut } from '../dhcp/wire-packets.ts';

it('prints nothing of options that the other reader does not know', () => {
  const parsed = parseDhcpPacket(dhcpOut('offer', {}).bytes);
  if (parsed.kind === 'refusal') throw new Error(parsed.reason);
  const options = new Map([...parsed.packet.options, [175, Uint8Array.of(1)]] as const);
  const bytes = packDhcpPacket({ ...parsed.packet, options });
  const answer = readServerAnswer(bytes);
  if (!answer) throw new Error('no answer');
  const print = vi.spyOn(console, 'error').mockReturnValue();
  try {
    expect(disagreements(bytes, answer)).toEqual([]);
    expect(print.mock.calls).toEqual([]);
  } finally {
    print.mockRestore();
  }
});
