import { register as build } from './build.ts';
import type { RegisterCommand } from './command.ts';
import { register as image } from './image.ts';

/** Every noun of the command line, in the order in which help lists them. */
export const commands: readonly RegisterCommand[] = [build, image];
