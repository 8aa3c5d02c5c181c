import { expect, test } from 'vitest';
import { inheritedListeners, parseListenFds } from '../../../src/system/inherited-sockets.ts';

test.each([
  ['nothing', {}, undefined],
  ['sockets of another process', { LISTEN_PID: '8', LISTEN_FDS: '1' }, undefined],
  ['no number', { LISTEN_PID: '7', LISTEN_FDS: 'two' }, undefined],
  ['none to open', { LISTEN_PID: '7', LISTEN_FDS: '0', LISTEN_FDNAMES: '' }, []],
  [
    'two',
    { LISTEN_PID: '7', LISTEN_FDS: '2', LISTEN_FDNAMES: 'eth1:eth2.10' },
    ['eth1', 'eth2.10'],
  ],
  ['too few names', { LISTEN_PID: '7', LISTEN_FDS: '2', LISTEN_FDNAMES: 'eth1' }, ['eth1', '']],
])('an environment that names %s', (_what, env, names) => {
  expect(parseListenFds(env, 7)?.names).toEqual(names);
});

test('sockets for HTTP are known by their names', () => {
  const fds = { names: ['eth1', 'http-10.77.0.1', '', 'http-10.78.0.1'] };
  expect([...inheritedListeners(fds)]).toEqual([
    ['10.77.0.1', 4],
    ['10.78.0.1', 6],
  ]);
});
