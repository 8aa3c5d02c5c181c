import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { createLineLog } from '../../../src/cli/line-log.ts';

describe('a log of lines', () => {
  it('writes the lines of one turn together, in their order, and the next ones soon after', async () => {
    const written: string[] = [];
    const log = createLineLog((text) => written.push(text));
    log.add('one');
    log.add('two');
    expect(written).toEqual([]);
    await turn();
    expect(written).toEqual(['one\ntwo\n']);
    log.add('three');
    await turn();
    log.add('four');
    expect(written).toEqual(['one\ntwo\n']);
    await vi.waitFor(() => expect(written).toEqual(['one\ntwo\n', 'three\nfour\n']));
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

  it('lets no more wait than a pipe takes without its reader', () => {
    const written: string[] = [];
    const log = createLineLog((text) => written.push(text));
    for (let n = 0; n < 10_000; n += 1) log.add(`line ${n} ${'.'.repeat(80)}`);
    log.flush();
    expect(written.join('').split('\n')).toHaveLength(10_001);
    expect(Math.max(...written.map((text) => text.length))).toBeLessThan(32 * 1024);
  });
});
