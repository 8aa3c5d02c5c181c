import type { RegisterCommand } from './command.ts';

/** Every noun of the command line, in the order in which help lists them. */
export const commands: readonly RegisterCommand[] = [];
