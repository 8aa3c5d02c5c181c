import { agreeTerms, decideRequest, defaultTransferLimits } from '../../src/pxe/tftp-options.ts';
import { encodeTftpPacket, parseTftpPacket } from '../../src/pxe/tftp-packet.ts';
import {
  planTransfer,
  stepTransfer,
  type TransferInput,
  type TransferState,
} from '../../src/pxe/tftp-transfer.ts';
import { describePacket } from '../../src/pxe/wire-packet.ts';
import { type FuzzTarget, must } from './fuzz-target.ts';

const request = (file: string, options: Record<string, string>, mode = 'octet') =>
  encodeTftpPacket({ kind: 'rrq', file, mode, options: new Map(Object.entries(options)) });

const seeds: readonly Uint8Array[] = [
  request('boot/loader/undionly.kpxe', { tsize: '0', blksize: '1456' }),
  request('boot\\loader\\ipxe.efi', { blksize: '1468', windowsize: '4', tsize: '0' }),
  request('/grubx64.efi', { blksize: '512', timeout: '3' }, 'OCTET'),
  request('revocations.efi', {}, 'netascii'),
  encodeTftpPacket({ kind: 'ack', block: 65_535 }),
  encodeTftpPacket({ kind: 'data', block: 1, data: Buffer.alloc(64, 1) }),
  encodeTftpPacket({ kind: 'error', code: 8, message: 'User aborted the transfer' }),
  encodeTftpPacket({ kind: 'oack', options: new Map([['blksize', '1468']]) }),
];
const words = [
  ...['\0', 'blksize\0', 'windowsize\0', 'timeout\0', 'tsize\0', 'BLKSIZE\x001468\0', 'x\0'],
  ...['0\0', '1\0', '7\0', '65464\0', '65465\0', '4294967296\0', '-1\0', '1e3\0', '../', '%00'],
].map((text) => Buffer.from(text, 'latin1'));

/** Datagrams to the TFTP port: parsed, written again, and the terms that would be agreed. */
export function tftpPacketTarget(): FuzzTarget {
  const endpoint = { address: '10.77.0.21', port: 2070 };
  return {
    name: 'tftp-packet',
    seeds,
    words,
    run(bytes) {
      const wire = { at: 1, protocol: 'tftp', direction: 'in', summary: '', bytes } as const;
      const line = describePacket({ ...wire, local: endpoint, remote: endpoint });
      must(!/[^\x20-\x7e]/.test(line) && line.length < 1000, `not for an operator's eyes: ${line}`);
      const parsed = parseTftpPacket(bytes);
      if (!parsed.ok) return parsed.request ? 'bad request' : 'unreadable';
      // Nobody sends an acknowledgement of no options.
      if (parsed.packet.kind === 'oack' && parsed.packet.options.size === 0) return 'empty oack';
      const again = parseTftpPacket(encodeTftpPacket(parsed.packet));
      must(again.ok && again.packet.kind === parsed.packet.kind, 'it does not read what it wrote');
      if (parsed.packet.kind !== 'rrq' && parsed.packet.kind !== 'wrq') return parsed.packet.kind;
      const decision = decideRequest(parsed.packet);
      if (decision.kind === 'refuse') return 'refused';
      must(!decision.file.startsWith('/'), 'a name outside the folder');
      const terms = agreeTerms(parsed.packet.options, 1_000_000);
      const { blockSize, windowSize, windowBytes } = defaultTransferLimits;
      must(terms.blockSize >= 8 && terms.blockSize <= blockSize, `blocks of ${terms.blockSize}`);
      must(
        terms.windowSize >= 1 && terms.windowSize <= windowSize,
        `windows of ${terms.windowSize}`,
      );
      must(
        terms.windowSize === 1 || terms.windowSize * terms.blockSize <= windowBytes,
        'a huge window',
      );
      must(terms.timeout === undefined || terms.timeout <= 30_000, 'an endless timeout');
      const oack = encodeTftpPacket({ kind: 'oack', options: terms.acknowledge });
      must(oack.length <= bytes.length + 100, 'the answer is longer than the question');
      return 'served';
    },
  };
}

/** What a client may do to a transfer: each byte pair is one thing that happens. */
function inputOf(kind: number, value: number): TransferInput {
  switch (kind % 8) {
    case 0:
      return { kind: 'timeout' };
    case 1:
      return { kind: 'start' };
    case 2:
      return value > 250
        ? { kind: 'error', code: value, message: 'x' }
        : { kind: 'ack', block: 65_535 - value };
    case 3:
      return value > 250 ? { kind: 'gone', reason: 'closed' } : { kind: 'ack', block: value };
    default:
      return { kind: 'ack', block: value };
  }
}

/** The transfer's state machine under any order of acknowledgements, time-outs and errors. */
export function tftpTransferTarget(): FuzzTarget {
  const inOrder = Buffer.from(Array.from({ length: 30 }, (_v, i) => [4, i]).flat());
  return {
    name: 'tftp-transfer',
    // Terms, size, then what happens.
    seeds: [Buffer.concat([Buffer.of(1, 4, 40), inOrder]), Buffer.of(0, 0, 0, 1, 0, 0, 0, 4, 0)],
    words: [Buffer.of(0, 0), Buffer.of(4, 1), Buffer.of(1, 0), inOrder],
    run(bytes) {
      const [blocks = 0, windows = 0, size = 0, ...happens] = bytes;
      const options = new Map<string, string>();
      if (blocks > 0) options.set('blksize', String(8 + (blocks % 64)));
      if (windows > 0) options.set('windowsize', String(windows));
      const terms = agreeTerms(options, size * 13);
      let state = planTransfer(terms, size * 13);
      let now = 1000;
      const step = (input: TransferInput) => {
        const next = stepTransfer(state, input, now);
        checkStep(state, next.state, next.send.length);
        for (const packet of next.send) {
          if (packet.kind !== 'data') continue;
          must(packet.length <= terms.blockSize, 'a block is too long');
          must(packet.offset + packet.length <= size * 13, 'a block is beyond the file');
          must(packet.block >= 0 && packet.block <= 65_535, `block ${packet.block}`);
        }
        must((next.timer === undefined) === (next.state.phase !== 'sending'), 'nobody wakes it up');
        must(
          next.timer === undefined || (next.timer >= 0 && next.timer <= 60_000),
          `a timer of ${next.timer}`,
        );
        state = next.state;
        now += 7;
      };
      step({ kind: 'start' });
      for (let i = 0; i + 1 < Math.min(happens.length, 2000); i += 2) {
        step(inputOf(happens[i] ?? 0, happens[i + 1] ?? 0));
      }
      // The client says no more: it must end by itself.
      for (let n = 0; n < 12 && state.phase === 'sending'; n += 1) {
        now += 60_000;
        step({ kind: 'timeout' });
      }
      must(state.phase !== 'sending', 'a transfer whose client is gone goes on');
      return state.phase;
    },
  };
}

function checkStep(before: TransferState, after: TransferState, sent: number): void {
  must(sent <= Math.max(1, before.terms.windowSize), `${sent} packets at once`);
  must(after.acked >= before.acked, 'what was acknowledged is forgotten');
  must(after.acked <= after.lastBlock && after.sent <= after.lastBlock, 'beyond the last block');
}
