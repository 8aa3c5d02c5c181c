import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where a packet of a recording came from or went to. */
export interface RecordedEndpoint {
  readonly address: string;
  readonly port: number;
}

/** One UDP datagram of a recording. */
export interface RecordedPacket {
  /** Seconds since the first one. */
  readonly at: number;
  /** Hardware address of the card that sent it. */
  readonly card: string;
  readonly from: RecordedEndpoint;
  readonly to: RecordedEndpoint;
  /** What tshark says of it, line by line. */
  readonly says: readonly string[];
  readonly bytes: Buffer;
}

/** A recorded boot, or what else a client and the server said to each other. */
export interface Recording {
  /** What is known of it, line by line. */
  readonly about: readonly string[];
  readonly packets: readonly RecordedPacket[];
}

const folder = join(import.meta.dirname, 'boots');

/** Names of all recordings. */
export function recordingNames(): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.txt'))
    .map((name) => name.slice(0, -'.txt'.length))
    .sort();
}

export function recordingFile(name: string): string {
  return join(folder, `${name}.txt`);
}

/**
 * A recording as a text for people: after its `#` lines, each packet is one line `@ SECONDS CARD FROM > TO`,
 * what tshark says, indented, and the datagram's content in hexadecimal behind `|`.
 */
export function renderRecording({ about, packets }: Recording): string {
  const end = ({ address, port }: RecordedEndpoint) => `${address}:${port}`;
  const lines = packets.flatMap(({ at, card, from, to, says, bytes }) => [
    '',
    `@ ${at.toFixed(3)} ${card} ${end(from)} > ${end(to)}`,
    ...says.map((line) => `  ${line}`),
    ...(bytes.toString('hex').match(/.{1,64}/g) ?? []).map((hex) => `| ${hex}`),
  ]);
  return `${[...about.map((line) => `# ${line}`), ...lines].join('\n')}\n`;
}

/** Reads what `renderRecording` wrote. */
export function readRecording(name: string): Recording {
  const about: string[] = [];
  const packets: RecordedPacket[] = [];
  for (const line of readFileSync(recordingFile(name), 'utf8').split('\n')) {
    const head = /^@ (\S+) (\S+) (\S+):(\d+) > (\S+):(\d+)$/.exec(line);
    if (head) {
      const [, at, card = '', from = '', fromPort, to = '', toPort] = head;
      packets.push({
        at: Number(at),
        card,
        from: { address: from, port: Number(fromPort) },
        to: { address: to, port: Number(toPort) },
        says: [],
        bytes: Buffer.alloc(0),
      });
      continue;
    }
    const last = packets.at(-1);
    if (line.startsWith('# ')) about.push(line.slice(2));
    else if (line.startsWith('| ') && last) {
      const bytes = Buffer.concat([last.bytes, Buffer.from(line.slice(2), 'hex')]);
      packets[packets.length - 1] = { ...last, bytes };
    } else if (line.startsWith('  ') && last) {
      packets[packets.length - 1] = { ...last, says: [...last.says, line.slice(2)] };
    }
  }
  return { about, packets };
}
