import { fileURLToPath } from 'node:url';

/** One download by a program: where from, what, and the file to write. */
export interface Download {
  readonly host: string;
  readonly port: number;
  readonly remote: string;
  readonly local: string;
}

/** Clients written by others, each with its arguments; none of them shares code with the server. */
export const tftpClients: Readonly<Record<string, (download: Download) => readonly string[]>> = {
  // A curl that may take 3 s to connect asks for blocks to be repeated after one second, else after six.
  curl: ({ host, port, remote, local }) => [
    'curl',
    ...['--silent', '--show-error', '--connect-timeout', '3', '--tftp-blksize', '1468'],
    ...['--output', local, `tftp://${host}:${port}/${remote}`],
  ],
  'curl without options': ({ host, port, remote, local }) => [
    'curl',
    ...['--silent', '--show-error', '--tftp-no-options'],
    ...['--output', local, `tftp://${host}:${port}/${remote}`],
  ],
  'tftp-hpa': ({ host, port, remote, local }) => [
    'tftp',
    ...['-m', 'binary', host, `${port}`, '-c', 'get', remote, local],
  ],
  BusyBox: ({ host, port, remote, local }) => [
    'busybox',
    ...['tftp', '-g', '-b', '1400', '-r', remote, '-l', local, host, `${port}`],
  ],
  atftp: atftp(1),
  'atftp, window of 4': atftp(4),
  'atftp, window of 16': atftp(16),
  'tftp package, window of 1': npmClient(1),
  'tftp package, window of 4': npmClient(4),
  'tftp package, window of 16': npmClient(16),
};

/**
 * The `tftp` package with a window cannot recover from loss, whatever a server does: after a gap it keeps the
 * window's old end and takes no block beyond it, and it hands on a window's blocks in the order they came.
 */
export const lossProofClients: readonly string[] = Object.keys(tftpClients).filter(
  (name) => !/^tftp package, window of (4|16)$/.test(name),
);

function atftp(windowSize: number) {
  return ({ host, port, remote, local }: Download) => [
    'atftp',
    ...['--option', 'blksize 1428', '--option', `windowsize ${windowSize}`],
    ...['--get', '--remote-file', remote, '--local-file', local, host, `${port}`],
  ];
}

function npmClient(windowSize: number) {
  const script = fileURLToPath(new URL('./tftp-npm-client.ts', import.meta.url));
  return ({ host, port, remote, local }: Download) => [
    process.execPath,
    ...[script, host, `${port}`, `${windowSize}`, remote, local],
  ];
}
