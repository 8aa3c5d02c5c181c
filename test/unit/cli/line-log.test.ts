import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createLineLog } from '../../../src/cli/line-log.ts';

describe('a log of lines', () => {
  it('writes the lines of one turn together, in their order, and the next ones later', async () => {
    const written: string[] = [];
    const log = createLineLog((text) => written.push(text));
    log.add('one');
    log.add('two');
    expect(written).toEqual([]);
    await turn();
    expect(written).toEqual(['one\ntwo\n']);
    log.add('three');
    await turn();
    expect(written).toEqual(['one\ntwo\n', 'three\n']);
  });

  it('writes at once what is left when the process ends, and only once', async () => {
    const written: string[] = [];
    const log = createLineLog((text) => written.push(text));
    log.add('last words');
    log.flush();
    expect(written).toEqual(['last words\n']);
    await turn();
    log.flush();
    expect(written).toEqual(['last words\n']);
  });
});
