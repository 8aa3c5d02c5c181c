import type { Command } from 'commander';
import type { ListenFds } from '../system/inherited-sockets.ts';

/** Options that stand before the noun, the same for every command. */
export interface GlobalOptions {
  /** Absolute path of the site folder. */
  readonly site: string;
  /** Absolute path of the state folder. */
  readonly state: string;
  readonly json: boolean;
  /** Whether systemd waits to be told that the service is there. */
  readonly supervised: boolean;
  /** Sockets that this process was started with. */
  readonly listenFds?: ListenFds;
}

/** Every file of this folder exports one of these: it adds its noun to the program. */
export type RegisterCommand = (program: Command, globals: () => GlobalOptions) => void;

/** Writes a line to standard output. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
