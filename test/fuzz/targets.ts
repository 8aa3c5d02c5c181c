import { dhcpTarget, proxyDhcpTarget } from './dhcp-target.ts';
import type { FuzzTarget } from './fuzz-target.ts';
import { reportTarget } from './report-target.ts';
import { tftpPacketTarget, tftpTransferTarget } from './tftp-target.ts';

/** A target with its share of all inputs, and outcomes of which there must be many: a run that stopped at the first check would prove little. */
export interface FuzzShare {
  readonly target: () => FuzzTarget;
  readonly share: number;
  readonly outcomes: readonly string[];
}

export const fuzzShares: readonly FuzzShare[] = [
  { target: dhcpTarget, share: 0.35, outcomes: ['unreadable', 'no client', 'ignored', 'replied'] },
  {
    target: proxyDhcpTarget,
    share: 0.15,
    outcomes: ['unreadable', 'no client', 'ignored', 'replied'],
  },
  {
    target: tftpPacketTarget,
    share: 0.2,
    outcomes: ['bad request', 'unreadable', 'refused', 'served'],
  },
  { target: tftpTransferTarget, share: 0.2, outcomes: ['delivered', 'failed'] },
  { target: reportTarget, share: 0.1, outcomes: ['no JSON', 'refused', 'kernel'] },
];
