import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { AppError } from '../errors.ts';

/** The commands of QEMU's machine protocol (QMP) that a lab needs. */
export type QmpCommand =
  | 'system_reset'
  | 'system_powerdown'
  | 'quit'
  | 'query-status'
  | 'stop'
  | 'cont'
  | 'set_link';

/**
 * Runs one command and gives back what it returned; a guest that does not answer in 5 s is an error.
 * QEMU speaks to one client at a time, so the connection is closed again at once.
 */
export function runQmp(
  socketPath: string,
  command: QmpCommand,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const fail = (why: string) => {
      socket.destroy();
      reject(
        new AppError('lab-qmp', `${command}: ${why}`, `is the guest running? (${socketPath})`),
      );
    };
    socket.setTimeout(5_000, () => fail('no answer'));
    socket.once('error', (error) => fail(error.message));
    socket.once('close', () => fail('QEMU closed the connection'));
    const lines = createInterface(socket);
    // It passes on what the socket's own listener has told.
    lines.on('error', () => {});
    lines.on('line', (line) => {
      const message = parse(line);
      if (message === undefined) {
        fail(`what answers is no QEMU: ${line.slice(0, 80)}`);
      } else if ('QMP' in message) {
        socket.write(`${JSON.stringify({ execute: 'qmp_capabilities', id: 'hello' })}\n`);
      } else if (message.id === 'hello') {
        socket.write(`${JSON.stringify({ execute: command, arguments: settings, id: 'ask' })}\n`);
      } else if ('error' in message) {
        fail(JSON.stringify(message.error));
      } else if (message.id === 'ask') {
        socket.removeAllListeners('close');
        socket.destroy();
        resolve(message.return);
      }
    });
  });
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
