import fc from 'fast-check';
import { expect, test } from 'vitest';
import { digestOf } from '../../../src/digest.ts';
import { moveTag, parseTag, renderTag, takeTagBack } from '../../../src/images/tag-history.ts';

const [a, b, c] = ['a', 'b', 'c'].map(digestOf) as [
  ReturnType<typeof digestOf>,
  ReturnType<typeof digestOf>,
  ReturnType<typeof digestOf>,
];

test('a tag remembers what it named, newest first, each once', () => {
  const history = [a, b, c, a].reduce<ReturnType<typeof parseTag>>(moveTag, []);
  expect(history).toEqual([a, c, b]);
  expect(parseTag(renderTag(history))).toEqual(history);
});

test('a step back forgets what came after, so the next goes further back', () => {
  const history = [c, b, a];
  expect(takeTagBack(history, b)).toEqual([b, a]);
  expect(takeTagBack([b, a], a)).toEqual([a]);
  expect(takeTagBack([a], a)).toBeUndefined();
  expect(takeTagBack(history, digestOf('d'))).toBeUndefined();
});

test('a file of one line, as it was written before there was a history, is read', () => {
  expect(parseTag(`${a}\n`)).toEqual([a]);
  expect(parseTag('')).toEqual([]);
  expect(parseTag(`${a}\n${b.slice(1)}\n${c}`)).toEqual([a, c]);
});

test('it stays short, and names first what it was moved to', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 30 }).map(String).map(digestOf)), (moves) => {
      const history = moves.reduce<ReturnType<typeof parseTag>>(moveTag, []);
      expect(history.length).toBeLessThanOrEqual(10);
      expect(history[0]).toBe(moves.at(-1));
      expect(new Set(history).size).toBe(history.length);
    }),
  );
});
