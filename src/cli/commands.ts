import { register as bench } from './bench.ts';
import { register as build } from './build.ts';
import { register as capture } from './capture.ts';
import { register as certificate } from './certificate.ts';
import { register as check } from './check.ts';
import type { RegisterCommand } from './command.ts';
import { register as explain } from './explain.ts';
import { register as image } from './image.ts';
import { register as init } from './init.ts';
import { register as lab } from './lab.ts';
import { register as node } from './node.ts';
import { register as plan } from './plan.ts';
import { register as probe } from './probe.ts';
import { register as render } from './render.ts';
import { register as role } from './role.ts';
import { register as serve } from './serve.ts';
import { register as volume } from './volume.ts';

/** Every noun of the command line, in the order in which help lists them. */
export const commands: readonly RegisterCommand[] = [
  init,
  check,
  plan,
  explain,
  capture,
  render,
  role,
  build,
  image,
  certificate,
  serve,
  probe,
  node,
  volume,
  lab,
  bench,
];
