import { describe, expect, test } from 'vitest';
import { closestTo, editDistance, suggestion } from '../../../src/site/did-you-mean.ts';

describe('edit distance', () => {
  test.each([
    ['', '', 0],
    ['web', 'web', 0],
    ['web', '', 3],
    ['wbe', 'web', 1],
    ['gatway', 'gateway', 1],
    ['adress', 'address', 1],
    ['dhpc', 'dhcp', 1],
    ['kitten', 'sitting', 3],
  ])('%s → %s: %i', (from, to, distance) => {
    expect(editDistance(from, to)).toBe(distance);
    expect(editDistance(to, from)).toBe(distance);
  });
});

describe('the nearest choice', () => {
  test.each([
    ['rolle', ['role', 'tags'], 'role'],
    ['Role', ['role', 'tags'], 'role'],
    ['x', ['role', 'tags'], undefined],
    ['colour', ['server', 'gateway'], undefined],
    ['web3', ['web1', 'web2'], 'web1'],
    ['anything', [], undefined],
  ])('%s of %j: %s', (word, choices, nearest) => {
    expect(closestTo(word, choices)).toBe(nearest);
  });

  test('lists what is possible where nothing is near', () => {
    expect(suggestion('mail', ['web', 'lb'], 'roles')).toBe('roles: web, lb');
    expect(suggestion('mail', [], 'roles')).toBe('there is none yet');
  });
});
