import { expect, test } from 'vitest';
import { matchesPath } from '../../../src/roles/match-path.ts';

test.each([
  ['/etc/hosts', '/etc/hosts', true],
  ['/etc/hosts', '/etc/hosts.allow', false],
  ['/etc/nginx/**', '/etc/nginx/nginx.conf', true],
  ['/etc/nginx/**', '/etc/nginx/sites/a/b.conf', true],
  ['/etc/nginx/**', '/etc/nginx', false],
  ['/etc/nginx/**', '/etc/nginx2/x', false],
  ['/etc/sysctl.d/*', '/etc/sysctl.d/a.conf', true],
  ['/etc/sysctl.d/*', '/etc/sysctl.d/a/b.conf', false],
  ['/etc/*/x.conf', '/etc/a/x.conf', true],
  ['/etc/*/x.conf', '/etc/a/b/x.conf', false],
  ['/etc/**/x.conf', '/etc/x.conf', true],
  ['/etc/**/x.conf', '/etc/a/b/x.conf', true],
  ['/etc/**/x.conf', '/etc/a/bx.conf', false],
  ['/etc/?.conf', '/etc/a.conf', true],
  ['/etc/?.conf', '/etc/ab.conf', false],
  ['/etc/a.conf', '/etc/abconf', false],
  ['/srv/[a](b)+', '/srv/[a](b)+', true],
  ['/srv/[a](b)+', '/srv/abb', false],
  ['/srv/*', '/srv/.hidden', true],
])('%s and %s: %s', (glob, path, isMatch) => {
  expect(matchesPath(glob, path)).toBe(isMatch);
});
