import { runProgram } from '../../src/system/run-program.ts';
import type { RecordedPacket } from './recording.ts';

/** DHCP both ways, and what a TFTP client asks and is told before the blocks: they are the file's own. */
const filter = 'dhcp or tftp.opcode in {1, 2, 5, 6}';

const fields = [
  'frame.number',
  'frame.time_epoch',
  'eth.src',
  'ip.src',
  'udp.srcport',
  'ip.dst',
  'udp.dstport',
  'udp.payload',
  '_ws.col.Info',
];

/** The packets of a pcap file that decide a boot, with what tshark says of them. */
export async function readPcap(file: string): Promise<readonly RecordedPacket[]> {
  const read = ['-n', '-r', file, '-Y', filter];
  const table = await runProgram('tshark', [
    ...read,
    ...['-T', 'fields', '-E', 'separator=/t'],
    ...fields.flatMap((field) => ['-e', field]),
  ]);
  const details = await runProgram('tshark', [...read, '-V', '-O', 'dhcp,tftp']);
  const told = new Map(
    details.stdout.split(/^Frame /m).map((text) => [Number.parseInt(text, 10), pick(text)]),
  );
  const rows = table.stdout.split('\n').filter((line) => line !== '');
  const start = Number(rows[0]?.split('\t')[1]);
  return rows.map((row) => {
    const [frame, time, card = '', from = '', fromPort, to = '', toPort, payload = '', info = ''] =
      row.split('\t');
    return {
      at: Number(time) - start,
      card,
      from: { address: from, port: Number(fromPort) },
      to: { address: to, port: Number(toPort) },
      says: [info, ...(told.get(Number(frame)) ?? [])],
      bytes: Buffer.from(payload.replaceAll(':', ''), 'hex'),
    };
  });
}

/** Fields of the header that a boot turns on, and the options with what is in them. */
function pick(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => {
    const option = /^ {4}(Option: \((?!255)\d+\).*)/.exec(line)?.[1];
    if (option) return [option];
    // Lengths and the end of all options say nothing, single bits are said by their field.
    const inside = /^ {8}(?!Length|Option End)(\S.*)/.exec(line)?.[1];
    if (inside && !/^[01. ]+ = /.test(inside)) return [`  ${inside}`];
    const header =
      /^ {4}((?:Bootp flags|Seconds elapsed|.* IP address|Server host name|Boot file name): .*)/.exec(
        line,
      )?.[1];
    return header && !/0\.0\.0\.0|not given|: 0$/.test(header) ? [header] : [];
  });
}
