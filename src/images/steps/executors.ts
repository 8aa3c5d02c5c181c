import { assemble } from './assemble.ts';
import { bootstrap } from './bootstrap.ts';
import { customize } from './customize.ts';
import type { Executors } from './executor.ts';
import { facts } from './facts.ts';
import { initramfs } from './initramfs.ts';
import { kernel } from './kernel.ts';
import { layer } from './layer.ts';
import { loaders } from './loaders.ts';
import { packages } from './packages.ts';
import { squash } from './squash.ts';

/** What really does each kind of step. */
export const executors: Executors = {
  assemble,
  bootstrap,
  customize,
  facts,
  initramfs,
  kernel,
  layer,
  loaders,
  packages,
  squash,
};
