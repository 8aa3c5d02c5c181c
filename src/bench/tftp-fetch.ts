import { createSocket } from 'node:dgram';
import type { Ipv4 } from '../net/ipv4.ts';
import { encodeTftpPacket, parseTftpPacket } from '../pxe/tftp-packet.ts';

export interface TftpFetch {
  readonly from: Ipv4;
  readonly server: Ipv4;
  readonly file: string;
  readonly blockSize: number;
  readonly windowSize: number;
}

/** Firmware repeats its last packet after a second without news, and gives up after six of them. */
const patience = 1000;
const mostTries = 6;

/**
 * Fetches a file as a machine's firmware does, block by block in windows (RFC 7440), and throws the bytes away.
 * Gives back how many came and how often it had to ask again; fails with the server's own words.
 */
export function fetchByTftp(
  fetch: TftpFetch,
): Promise<{ readonly bytes: number; readonly retries: number }> {
  const { from, server, file, blockSize, windowSize } = fetch;
  const socket = createSocket({ type: 'udp4', recvBufferSize: 256 * 1024 });
  const request = encodeTftpPacket({
    kind: 'rrq',
    file,
    mode: 'octet',
    options: new Map([
      ['tsize', '0'],
      ['blksize', String(blockSize)],
      ['windowsize', String(windowSize)],
    ]),
  });
  return new Promise((resolve, reject) => {
    let peer = 0;
    let size = blockSize;
    let window = 1;
    let taken = 0;
    let bytes = 0;
    let sinceAck = 0;
    let gapTold = false;
    let tries = 0;
    let retries = 0;
    let timer: NodeJS.Timeout | undefined;

    const end = (failure?: Error) => {
      clearTimeout(timer);
      socket.close();
      if (failure) reject(failure);
      else resolve({ bytes, retries });
    };
    const send = (packet: Uint8Array) => socket.send(packet, peer || 69, server, () => {});
    const acknowledge = () => {
      sinceAck = 0;
      send(encodeTftpPacket({ kind: 'ack', block: taken & 0xffff }));
    };
    const waitAgain = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        tries += 1;
        if (tries >= mostTries) return end(new Error(`no answer from TFTP, ${bytes} bytes came`));
        retries += 1;
        if (peer === 0) send(request);
        else acknowledge();
        waitAgain();
      }, patience);
    };

    socket.on('error', end);
    socket.on('message', (message, remote) => {
      const parsed = parseTftpPacket(message);
      if (!parsed.ok || (peer !== 0 && remote.port !== peer)) return;
      const { packet } = parsed;
      if (packet.kind === 'error')
        return end(new Error(`TFTP error ${packet.code}: ${packet.message}`));
      if (packet.kind === 'oack' && taken === 0) {
        peer = remote.port;
        size = Number(packet.options.get('blksize') ?? 512);
        window = Number(packet.options.get('windowsize') ?? 1);
        acknowledge();
      } else if (packet.kind === 'data') {
        if (peer === 0) size = 512;
        peer = remote.port;
        if (packet.block !== ((taken + 1) & 0xffff)) {
          // RFC 7440 §4: the last block in order is told once for each gap.
          if (!gapTold) acknowledge();
          gapTold = true;
          return;
        }
        taken += 1;
        sinceAck += 1;
        bytes += packet.data.length;
        gapTold = false;
        const isLast = packet.data.length < size;
        if (isLast || sinceAck >= window) acknowledge();
        // The ACK has left when the socket closes: a send is done at once where the buffer has room.
        if (isLast) return void setImmediate(end);
      } else return;
      tries = 0;
      waitAgain();
    });
    socket.bind({ address: from, port: 0 }, () => {
      send(request);
      waitAgain();
    });
  });
}
