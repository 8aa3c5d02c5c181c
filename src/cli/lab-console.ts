import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import { readReport } from '../lab/control.ts';
import type { LabFolder } from '../lab/lab-folder.ts';
import { say } from './command.ts';

/**
 * Joins the terminal to a machine's serial console; prints its log where there is no terminal.
 * `node` is a guest's name or that of the node it has become.
 */
export async function showConsole(folder: LabFolder, node: string): Promise<void> {
  const report = await readReport(folder.root);
  const row = report.rows.find((r) => r.name === node);
  const guest = report.guests.find(
    (g) => g.name === node || g.nics.some((nic) => row?.mac.includes(nic.mac)),
  );
  if (!guest) {
    throw new AppError(
      'lab-unknown-guest',
      `the lab has no guest ${node}`,
      `its machines are ${report.rows.map((r) => r.name).join(', ')}`,
    );
  }
  const log = await readFile(join(folder.guest(guest.name), 'console.log'), 'utf8');
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    process.stdout.write(log);
    return;
  }
  process.stdout.write(`${log.split('\n').slice(-20).join('\n')}`);
  await joinTerminal(join(folder.guest(guest.name), 'console.sock'));
}

/** Joins the terminal to a serial console until Ctrl-] or the guest's end. */
function joinTerminal(socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const leave = () => {
      process.stdin.setRawMode(false);
      process.stdin.pause();
      socket.destroy();
      say('');
      resolve();
    };
    socket.once('connect', () => {
      process.stdin.setRawMode(true);
      process.stdin.on('data', (bytes: Buffer) => {
        if (bytes.includes(0x1d)) leave();
        else socket.write(bytes);
      });
      socket.pipe(process.stdout, { end: false });
      socket.once('close', leave);
    });
    socket.once('error', (error) =>
      reject(new AppError('lab-console', `the console does not answer: ${error.message}`)),
    );
  });
}
