import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import { runProgram } from '../system/run-program.ts';
import { startProgram } from '../system/start-program.ts';
import type { LabNetwork } from './network.ts';

/** What is seen on a bridge while it runs. */
export interface Capture {
  readonly file: string;
  /** Ends it; the packets so far, as rows of the tshark fields asked for, each with all its values. */
  rows(fields: readonly string[], filter?: string): Promise<readonly PacketRow[]>;
}

/** Values of one packet by tshark field name; empty where the packet has no such field. */
export type PacketRow = Readonly<Record<string, readonly string[]>>;

/** Starts tcpdump on a bridge of the lab, with a pcap-filter(7) or for all packets; resolves when it listens. */
export async function startCapture(
  network: LabNetwork,
  bridge: string,
  file: string,
  filter = '',
): Promise<Capture> {
  const log = `${file}.log`;
  const tcpdump = await startProgram(
    ...network.inside('tcpdump', [
      ...['-i', bridge, '-n', '-U', '-s', '0', '-B', '16384', '-w', file],
      // Else the kernel gathers packets for up to a second, and tcpdump ends without them (pcap(3PCAP)).
      '--immediate-mode',
      // The file is root's, not that of the user tcpdump would become.
      ...['-Z', 'root'],
      ...(filter === '' ? [] : [filter]),
    ]),
    { log },
  );
  for (let tries = 0; ; tries += 1) {
    if ((await readFile(log, 'utf8')).includes('listening on')) break;
    if (tries > 100) throw new AppError('lab-capture', `tcpdump does not listen; see ${log}`);
    await sleep(100);
  }
  return {
    file,
    rows: async (fields, filter = '') => {
      // What came last is on its way from the kernel to the file.
      await sleep(500);
      await tcpdump.stop();
      return readCapture(file, fields, filter);
    },
  };
}

/** The packets of a capture that pass a tshark display filter, in order. */
export async function readCapture(
  file: string,
  fields: readonly string[],
  filter = '',
): Promise<readonly PacketRow[]> {
  const { stdout } = await runProgram('tshark', [
    ...['-n', '-r', file],
    // An answer counts from its head on: its body may have been left out of the capture.
    ...['-o', 'http.desegment_body:FALSE'],
    ...(filter === '' ? [] : ['-Y', filter]),
    ...['-T', 'fields', '-E', 'separator=/t', '-E', 'aggregator=/s'],
    ...fields.flatMap((field) => ['-e', field]),
  ]);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const cells = line.split('\t');
      return Object.fromEntries(
        fields.map((field, i) => [field, (cells[i] ?? '').split(' ').filter(Boolean)]),
      );
    });
}
