import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/digest.ts';
import { AppError } from '../../../src/errors.ts';
import { type BuildEvent, executeBuild, sweepCache } from '../../../src/images/execute-build.ts';
import { openImageStore } from '../../../src/images/image-store.ts';
import type { Step } from '../../../src/images/plan-build.ts';
import type { Executors } from '../../../src/images/steps/executor.ts';

let state = '';
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'build-'));
});
afterEach(() => rm(state, { recursive: true, force: true }));

const steps: Step[] = [
  { kind: 'kernel', key: digestOf('1'), needs: [] },
  { kind: 'facts', key: digestOf('2'), needs: ['kernel'] },
];

/** Executors of which the two above leave a file, unless they are told otherwise. */
function executors(changed: Partial<Executors> = {}): Executors {
  const refuse = () => Promise.reject(new Error('not in this plan'));
  return {
    ...{ bootstrap: refuse, trim: refuse, squash: refuse, initramfs: refuse },
    ...{ loaders: refuse, assemble: refuse },
    kernel: (_step, { output }) => writeFile(join(output, 'kernel'), 'k'),
    facts: async (_step, { output, input }) =>
      writeFile(join(output, 'facts'), `${await readFile(join(input('kernel'), 'kernel'))}f`),
    ...changed,
  };
}

async function run(changed: Partial<Executors> = {}): Promise<string[]> {
  const seen: string[] = [];
  const onEvent = (event: BuildEvent) => seen.push(`${event.kind} ${event.index}/${event.of}`);
  await executeBuild(steps, {
    executors: executors(changed),
    cache: join(state, 'cache'),
    work: join(state, 'work'),
    aptCache: join(state, 'apt'),
    store: openImageStore(state),
    sources: () => Promise.reject(new Error('no network here')),
    now: () => 0,
    onEvent,
  });
  return seen;
}

const cached = async () => (await readdir(join(state, 'cache'))).map((name) => name.slice(0, 8));

describe('a build', () => {
  it('does every step, and none of them a second time', async () => {
    expect(await run()).toEqual([
      ...['step-started 1/2', 'step-done 1/2', 'step-started 2/2', 'step-done 2/2'],
    ]);
    const facts = join(state, 'cache', `facts-${digestOf('2')}`, 'facts');
    expect(await readFile(facts, 'utf8')).toBe('kf');
    expect(await run()).toEqual(['step-kept 1/2', 'step-kept 2/2']);
  });

  it('keeps whole steps and nothing of a failed one', async () => {
    const failing: Partial<Executors> = {
      facts: async (_step, { output }) => {
        await writeFile(join(output, 'half'), '');
        throw new AppError(
          'program-failed',
          'mmdebstrap …\n  ended with exit code 1',
          'look there',
        );
      },
    };
    await expect(run(failing)).rejects.toMatchObject({
      code: 'program-failed',
      message: expect.stringMatching(/^step 2\/2 \(facts: .*\) failed\nmmdebstrap …\n {2}ended/s),
      hint: 'look there',
    });
    expect(await cached()).toEqual(['kernel-6']);
    expect(await run()).toEqual(['step-kept 1/2', 'step-started 2/2', 'step-done 2/2']);
  });

  it('starts from nothing where a killed build left half a step', async () => {
    await mkdir(join(state, 'work/kernel'), { recursive: true });
    await writeFile(join(state, 'work/kernel/half'), '');
    await run();
    const output = join(state, 'cache', `kernel-${digestOf('1')}`);
    expect(await readdir(output)).toEqual(['kernel']);
    expect(await readdir(state)).not.toContain('work');
  });

  it('gives a step only what it says that it needs', async () => {
    const curious: Partial<Executors> = {
      kernel: async (_step, { input }) => {
        input('facts');
      },
    };
    await expect(run(curious)).rejects.toThrow('kernel needs no facts');
  });

  it('keeps no output that the plan does not name', async () => {
    await run();
    await mkdir(join(state, 'cache', 'trim-of-yesterday'));
    await sweepCache(join(state, 'cache'), steps);
    expect((await cached()).sort()).toEqual(['facts-d4', 'kernel-6']);
  });
});
