import { debian } from './debian.ts';
import type { Distribution } from './distribution.ts';

/** Every distribution that an image can be made of, by name. */
export const distributions: Readonly<Record<string, Distribution>> = { debian };
