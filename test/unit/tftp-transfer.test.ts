import { describe, expect, it } from 'vitest';
import { agreeTerms, defaultTransferLimits } from '../../src/pxe/tftp-options.ts';
import {
  decideRepeatedRequest,
  planTransfer,
  stepTransfer,
  type TransferInput,
  type TransferPacket,
  type TransferStep,
} from '../../src/pxe/tftp-transfer.ts';

/** Runs inputs at their times and keeps every step. */
function run(
  size: number,
  options: Record<string, string>,
  inputs: readonly (readonly [at: number, input: TransferInput])[],
): TransferStep[] {
  let state = planTransfer(agreeTerms(new Map(Object.entries(options)), size), size);
  return inputs.map(([at, input]) => {
    const step = stepTransfer(state, input, at);
    state = step.state;
    return step;
  });
}

const last = (steps: readonly TransferStep[]): TransferStep => {
  const step = steps.at(-1);
  if (!step) throw new Error('no step');
  return step;
};

const ack = (block: number): TransferInput => ({ kind: 'ack', block });
const start: TransferInput = { kind: 'start' };
const timeout: TransferInput = { kind: 'timeout' };
const blocks = (step: TransferStep) =>
  step.send.map((packet: TransferPacket) => (packet.kind === 'data' ? packet.block : packet.kind));

describe('a transfer without loss', () => {
  it('sends block after block and ends with the short one', () => {
    const steps = run(1000, {}, [
      [0, start],
      [1, ack(1)],
      [2, ack(2)],
    ]);
    expect(steps.map((step) => step.send)).toEqual([
      [{ kind: 'data', block: 1, offset: 0, length: 512 }],
      [{ kind: 'data', block: 2, offset: 512, length: 488 }],
      [],
    ]);
    expect(last(steps)).toMatchObject({
      timer: undefined,
      state: { phase: 'delivered', acknowledged: true, retransmissions: 0 },
    });
  });

  it.each([
    ['an empty file', 0, [0]],
    ['a file of one byte', 1, [1]],
    ['a file of one block', 512, [512, 0]],
    ['a file of two blocks', 1024, [512, 512, 0]],
  ])('%s', (_name, size, lengths) => {
    const steps = run(size, {}, [
      [0, start],
      ...lengths.map((_, i) => [i + 1, ack(i + 1)] as const),
    ]);
    const sent = steps.flatMap((step) => step.send);
    expect(sent.map((packet) => packet.kind === 'data' && packet.length)).toEqual(lengths);
    expect(last(steps).state.phase).toBe('delivered');
  });

  it('waits for the acknowledgement of its options', () => {
    const steps = run(1000, { blksize: '600' }, [
      [0, start],
      [1, ack(0)],
    ]);
    expect(steps.map(blocks)).toEqual([['oack'], [1]]);
  });

  it('sends a window at a time', () => {
    const steps = run(8 * 5, { blksize: '8', windowsize: '4' }, [
      [0, start],
      [1, ack(0)],
      [2, ack(4)],
      [3, ack(6)],
    ]);
    expect(steps.map(blocks)).toEqual([['oack'], [1, 2, 3, 4], [5, 6], []]);
    expect(last(steps).state.phase).toBe('delivered');
  });

  it('rolls over from 65535 to 0', () => {
    const size = 8 * 65_540;
    let step = last(run(size, { blksize: '8' }, [[0, start]]));
    for (let block = 0; block <= 65_534; block++) step = stepTransfer(step.state, ack(block), 0);
    expect(blocks(step)).toEqual([65_535]);
    step = stepTransfer(step.state, ack(65_535), 0);
    expect(step.send).toEqual([{ kind: 'data', block: 0, offset: 8 * 65_535, length: 8 }]);
    step = stepTransfer(step.state, ack(0), 0);
    expect(blocks(step)).toEqual([1]);
  });

  it('rolls over inside a window', () => {
    const size = 8 * 65_540;
    let step = last(run(size, { blksize: '8', windowsize: '64' }, [[0, start]]));
    step = stepTransfer(step.state, ack(0), 0);
    while (step.state.acked < 65_472) step = stepTransfer(step.state, ack(step.state.sent), 0);
    expect(blocks(step)).toEqual([...Array.from({ length: 63 }, (_, i) => 65_473 + i), 0]);
    step = stepTransfer(step.state, ack(0), 0);
    expect(blocks(step)).toEqual([1, 2, 3, 4, 5]);
    expect(stepTransfer(step.state, ack(5), 0).state.phase).toBe('delivered');
  });
});

describe('acknowledgements that say nothing new', () => {
  it('answers a duplicate with silence and does not wind the timer up again', () => {
    const steps = run(2000, {}, [
      [0, start],
      [10, ack(1)],
      [30, ack(1)],
    ]);
    expect(last(steps).send).toEqual([]);
    expect(last(steps).timer).toBe((steps[1]?.timer ?? 0) - 20);
  });

  it('sends no window again for a duplicate', () => {
    const steps = run(8 * 100, { blksize: '8', windowsize: '16' }, [
      [0, start],
      [1, ack(0)],
      [2, ack(16)],
      [3, ack(16)],
      [4, ack(0)],
      [5, ack(9)],
    ]);
    expect(steps.slice(3).map(blocks)).toEqual([[], [], []]);
  });

  it.each([0, 3, 500, 65_535])('ignores the acknowledgement of block %i, never sent', (block) => {
    const step = last(
      run(2000, {}, [
        [0, start],
        [1, ack(1)],
        [2, ack(block)],
      ]),
    );
    expect(step.send).toEqual([]);
    expect(step.state.acked).toBe(1);
  });

  it('takes no acknowledgement before the request was answered', () => {
    expect(last(run(0, {}, [[0, ack(1)]])).state.phase).toBe('sending');
  });
});

describe('loss', () => {
  it('moves the window on at a gap, and sends what follows the gap again a round trip later', () => {
    const steps = run(8 * 100, { blksize: '8', windowsize: '4' }, [
      [0, start],
      [5, ack(0)],
      [7, ack(2)],
      [8, ack(2)],
      [20, timeout],
    ]);
    expect(steps.slice(2).map(blocks)).toEqual([[5, 6], [], [3, 4, 5, 6]]);
    expect(steps.slice(2).map((step) => step.timer)).toEqual([10, 9, 50]);
    expect(last(steps).state).toMatchObject({ retransmissions: 4, tries: 0 });
  });

  it('sends nothing again for an acknowledgement inside the window that a duplicate caused', () => {
    const steps = run(8 * 100, { blksize: '8', windowsize: '4' }, [
      [0, start],
      [5, ack(0)],
      [6, ack(1)],
      [7, ack(5)],
    ]);
    expect(steps.slice(2).map(blocks)).toEqual([[5], [6, 7, 8, 9]]);
    expect(last(steps).state.retransmissions).toBe(0);
  });

  it('sends the outstanding window again after the time-out', () => {
    const steps = run(8 * 100, { blksize: '8', windowsize: '4' }, [
      [0, start],
      [1, ack(0)],
      [5000, timeout],
    ]);
    expect(blocks(last(steps))).toEqual([1, 2, 3, 4]);
  });

  it('does not believe a timer that fires early', () => {
    const steps = run(2000, {}, [
      [0, start],
      [400, timeout],
    ]);
    expect(last(steps)).toMatchObject({ send: [], timer: 600 });
  });

  it('answers the request again when its answer was lost, and only then', () => {
    const steps = run(2000, { tsize: '0' }, [
      [0, start],
      [99, start],
      [500, start],
      [510, ack(0)],
      [720, start],
    ]);
    expect(steps.map(blocks)).toEqual([['oack'], [], ['oack'], [1], []]);
  });

  it('waits longer each time without an answer, and gives up with an error', () => {
    let step = last(
      run(2000, {}, [
        [0, start],
        [40, ack(1)],
      ]),
    );
    let now = 40;
    const waits: number[] = [];
    while (step.timer !== undefined) {
      waits.push(step.timer);
      now += step.timer;
      step = stepTransfer(step.state, timeout, now);
    }
    expect(waits).toEqual([120, 240, 480, 960, 1920, 3840, 5000, 5000, 5000, 5000, 5000]);
    expect(step.send).toEqual([
      { kind: 'error', code: 0, message: 'no answer to block 2 of 4, sent 11 times' },
    ]);
    expect(step.state.phase).toBe('failed');
  });

  it('sends few packets to a client that never answered', () => {
    let step = last(run(2000, {}, [[0, start]]));
    let [now, sent] = [0, 1];
    while (step.timer !== undefined) {
      now += step.timer;
      step = stepTransfer(step.state, timeout, now);
      sent += step.send.filter((packet) => packet.kind === 'data').length;
    }
    expect(sent).toBe(6);
    expect(step.state.phase).toBe('failed');
  });

  it('repeats an OACK only after a client would have asked again or answered again', () => {
    let step = last(run(2000, { blksize: '600' }, [[0, start]]));
    const timers = [step.timer];
    while (step.timer !== undefined) {
      step = stepTransfer(step.state, timeout, step.state.deadline);
      timers.push(step.timer);
    }
    expect(timers).toEqual([6000, 6000, 6000, 6000, undefined]);
    expect(step.state.reason).toBe('no answer to the options, sent 4 times');
  });

  it('takes no client’s own timer for a slow link', () => {
    const steps = run(2000, { blksize: '600' }, [
      [0, start],
      [5000, ack(0)],
      [5001, ack(1)],
    ]);
    expect(last(steps).timer).toBeLessThan(2000);
  });

  it('keeps to the interval that the client asked for', () => {
    const steps = run(2000, { timeout: '2' }, [
      [0, start],
      [5, ack(0)],
      [2005, timeout],
      [4005, timeout],
    ]);
    expect(steps.map((step) => step.timer)).toEqual([3000, 2000, 2000, 2000]);
  });

  it('measures only blocks that were sent once', () => {
    const steps = run(5000, {}, [
      [0, start],
      [300, ack(1)],
      // 300 + 4 * 150
      [1200, timeout],
      [1201, ack(2)],
    ]);
    expect(last(steps).state.roundTrip).toEqual({ smoothed: 300, variation: 150 });
    expect(last(steps).timer).toBe(1800);
  });

  it('comes down fast from a round trip that a lost acknowledgement made long', () => {
    let step = last(
      run(100_000, {}, [
        [0, start],
        [900, ack(1)],
      ]),
    );
    for (let block = 2; block <= 8; block++) {
      step = stepTransfer(step.state, ack(block), 900 + block);
    }
    expect(step.timer).toBe(50);
  });

  it('keeps a longer time-out after loss until a block is measured, but not for ever longer', () => {
    const steps = run(100_000, {}, [
      [0, start],
      [1, ack(1)],
      [101, timeout],
      [301, timeout],
      [701, timeout],
      [702, ack(2)],
      [703, ack(3)],
    ]);
    expect(steps.map((step) => step.timer)).toEqual([1000, 50, 100, 200, 400, 200, 50]);
  });
});

describe('how a client leaves', () => {
  const error = (code: number): TransferInput => ({ kind: 'error', code, message: 'enough' });

  it.each([8, 0])('cancels with error %i after it learned the size', (code) => {
    const step = last(
      run(2000, { tsize: '0' }, [
        [0, start],
        [1, error(code)],
      ]),
    );
    expect(step).toMatchObject({ send: [], timer: undefined, state: { phase: 'cancelled' } });
  });

  it('breaks off in the middle', () => {
    const step = last(
      run(2000, {}, [
        [0, start],
        [1, ack(1)],
        [2, error(3)],
      ]),
    );
    expect(step).toMatchObject({
      send: [],
      timer: undefined,
      state: { phase: 'failed', reason: 'the client says error 3: enough' },
    });
  });

  it('closes its port after the last block without a last acknowledgement', () => {
    const step = last(
      run(700, {}, [
        [0, start],
        [1, ack(1)],
        [2, { kind: 'gone', reason: 'closed' }],
      ]),
    );
    expect(step.state).toMatchObject({ phase: 'delivered', acknowledged: false });
  });

  it('closes its port in the middle', () => {
    const step = last(
      run(2000, {}, [
        [0, start],
        [1, ack(1)],
        [2, { kind: 'gone', reason: 'closed' }],
      ]),
    );
    expect(step.state).toMatchObject({ phase: 'failed', reason: 'closed' });
  });

  it('was gone before the request was answered', () => {
    const step = last(
      run(2000, {}, [
        [0, start],
        [1, { kind: 'gone', reason: 'closed' }],
      ]),
    );
    expect(step.state.phase).toBe('cancelled');
  });

  it('says nothing more with only the last block outstanding', () => {
    let step = last(
      run(700, {}, [
        [0, start],
        [1, ack(1)],
      ]),
    );
    for (let now = 10_000; step.timer !== undefined; now += 10_000) {
      step = stepTransfer(step.state, timeout, now);
    }
    expect(step).toMatchObject({ send: [], state: { phase: 'delivered', acknowledged: false } });
  });

  it('hears why the server cannot go on', () => {
    const step = last(
      run(700, {}, [
        [0, start],
        [1, { kind: 'stop', reason: 'stopping' }],
      ]),
    );
    expect(step.send).toEqual([{ kind: 'error', code: 0, message: 'stopping' }]);
  });

  it('gets nothing more after the end', () => {
    const done = last(
      run(10, {}, [
        [0, start],
        [1, ack(1)],
      ]),
    );
    for (const input of [start, ack(1), timeout, error(0)]) {
      expect(stepTransfer(done.state, input, 5)).toEqual({
        state: done.state,
        send: [],
        timer: undefined,
      });
    }
  });
});

describe('a request from a port that has a transfer', () => {
  const state = (...inputs: [number, TransferInput][]) => last(run(1000, {}, inputs)).state;
  const opening = state([0, start]);
  const middle = state([0, start], [1, ack(1)]);
  const early = last(
    run(8000, {}, [
      [0, start],
      [1, ack(1)],
    ]),
  ).state;

  it.each([
    ['the same, unanswered so far', opening, true, 500, 'answer-again'],
    ['another one, before the first was answered', opening, false, 500, 'start-anew'],
    ['a late copy of the same', early, true, 50, 'ignore'],
    ['a late copy of an earlier one', early, false, 50, 'ignore'],
    ['the same of a machine that was reset', early, true, 3000, 'start-anew'],
    ['another one of a machine that was reset', early, false, 3000, 'start-anew'],
    ['the next file while the last ACK of this one is missing', middle, false, 50, 'start-anew'],
    ['a late copy of the same near the end', middle, true, 50, 'ignore'],
  ] as const)('%s', (_name, running, same, now, decision) => {
    expect(decideRepeatedRequest(running, same, now)).toBe(decision);
  });
});

it('fits an Ethernet frame by default', () => {
  expect(defaultTransferLimits.blockSize + 4 + 8 + 20).toBe(1500);
});
