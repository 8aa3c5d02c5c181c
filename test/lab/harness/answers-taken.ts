import type { Capture, PacketRow } from '../../../src/lab/capture.ts';

const fields = [
  ...['eth.src', 'ip.src', 'ip.dst', 'tcp.srcport', 'tcp.dstport', 'tcp.flags', 'tcp.len'],
  ...['tcp.seq_raw', 'tcp.ack_raw', 'tcp.analysis.retransmission'],
];

/**
 * The cards whose answers clients took, in order, each once until another one answered. A server that stalled
 * and goes on answers what had reached its card before; a client that has parted from it acknowledges nothing
 * of that (RFC 9293, 3.10.7.4), and has not heard it.
 */
export async function answersTaken(capture: Capture, port: number): Promise<readonly string[]> {
  const acknowledged = new Map<string, number>();
  const taken: string[] = [];
  // From the end on, so that what a client says after an answer is known when it comes to it.
  for (const row of [...(await capture.rows(fields, `tcp.port == ${port}`))].reverse()) {
    const value = (field: string) => row[field]?.[0] ?? '';
    const flags = Number(value('tcp.flags'));
    if (value('tcp.dstport') === String(port)) {
      noteAcknowledgment(acknowledged, row, flags);
    } else if (Number(value('tcp.len')) > 0 && value('tcp.analysis.retransmission') === '') {
      const end = Number(value('tcp.seq_raw')) + Number(value('tcp.len'));
      const upTo = acknowledged.get(`${value('ip.dst')}:${value('tcp.dstport')}`);
      // Sequence numbers begin again at 2^32.
      if (upTo !== undefined && ((upTo - end) | 0) >= 0) taken.push(value('eth.src'));
    }
  }
  taken.reverse();
  return taken.filter((card, i) => card !== taken[i - 1]);
}

const syn = 0x02;
const rst = 0x04;
const ack = 0x10;

/** Acknowledgments of a connection only grow; what comes before its first segment is another one's. */
function noteAcknowledgment(acknowledged: Map<string, number>, row: PacketRow, flags: number) {
  const connection = `${row['ip.src']?.[0]}:${row['tcp.srcport']?.[0]}`;
  if ((flags & syn) !== 0) acknowledged.delete(connection);
  else if ((flags & rst) === 0 && (flags & ack) !== 0 && !acknowledged.has(connection)) {
    acknowledged.set(connection, Number(row['tcp.ack_raw']?.[0]));
  }
}
