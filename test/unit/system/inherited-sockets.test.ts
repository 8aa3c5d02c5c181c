import { expect, test } from 'vitest';
import { parseListenFds } from '../../../src/system/inherited-sockets.ts';

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
