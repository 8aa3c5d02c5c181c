import { describe, expect, test } from 'vitest';
import { createBootSet } from '../../../src/boot/boot-set.ts';
import { planFollow } from '../../../src/boot/plan-follow.ts';
import { digestOf } from '../../../src/digest.ts';
import { type OverlayFile, rootFile, rootLink } from '../../../src/roles/overlay-file.ts';
import type { ReloadRule } from '../../../src/roles/role.ts';
import type { SharedSecret } from '../../../src/roles/shared-secret.ts';

const blob = { digest: digestOf('blob'), size: 4 };
const set = createBootSet({
  ...{ node: 'web1', roles: ['web'], image: digestOf('image'), arguments: ['quiet'] },
  ...{ kernel: blob, initramfs: blob, root: [blob], overlay: blob },
});
const nginx: ReloadRule = {
  ...{ paths: ['/etc/nginx/**'], check: 'nginx -t' },
  ...{ unit: 'nginx.service', action: 'reload' },
};
const content: ReloadRule = { paths: ['/srv/www/**', '/etc/hosts'], unit: '', action: 'none' };
const rules = [nginx, content];
const conf = rootFile('/etc/nginx/nginx.conf', 'worker_processes 1;');
const page = rootFile('/srv/www/index.html', 'hello');

const plan = (before: readonly OverlayFile[], after: readonly OverlayFile[], use = rules) =>
  planFollow({ set, files: before }, { set, files: after }, use);

const mailKey: SharedSecret = {
  ...{ kind: 'certificate', name: 'mail', hosts: ['mail.lab.example'] },
  ...{ path: '/etc/ssl/private/mail.pem', mode: 0o600, uid: 0, gid: 0 },
};

describe('a node follows as it runs', () => {
  test('where its key stays, though a certificate made anew would have other names', () => {
    const before = { set: { ...set, secrets: [mailKey] }, files: [conf] };
    const after = { set: { ...set, secrets: [{ ...mailKey, hosts: ['mx.lab.example'] }] } };
    expect(planFollow(before, { ...after, files: [conf] }, rules).kind).toBe('follow');
  });

  test('where a rule names every changed file; files are checked once, units act once', () => {
    const other = rootFile('/etc/nginx/sites/a.conf', 'server {}');
    const changed = [{ ...conf, content: 'worker_processes 2;' }, other];
    expect(plan([conf, page], changed)).toEqual({
      kind: 'follow',
      changes: [
        { path: '/etc/nginx/nginx.conf', change: 'changed' },
        { path: '/etc/nginx/sites/a.conf', change: 'added' },
        { path: '/srv/www/index.html', change: 'removed' },
      ],
      checks: ['nginx -t'],
      actions: [{ action: 'reload', unit: 'nginx.service' }],
    });
  });

  test('without any check or unit where nobody keeps the file open', () => {
    expect(plan([page], [{ ...page, content: 'hello again' }])).toMatchObject({
      ...{ kind: 'follow', checks: [], actions: [] },
    });
  });

  test.each([
    ['mode', { ...conf, mode: 0o600 }],
    ['owner', { ...conf, uid: 33 }],
    ['group', { ...conf, gid: 33 }],
    ['content of the same length', { ...conf, content: 'worker_processes 9;' }],
    ['a link in its place', rootLink(conf.path, '/etc/other')],
  ])('another %s is a change', (_what, after) => {
    expect(plan([conf], [after])).toMatchObject({ changes: [{ change: 'changed' }] });
  });

  test('the same bytes as text and as bytes are no change', () => {
    const read = { ...conf, content: Buffer.from('worker_processes 1;') };
    expect(plan([conf], [read])).toMatchObject({ kind: 'follow', changes: [] });
  });

  test('a restart does what a reload does', () => {
    const restart: ReloadRule = { ...nginx, paths: ['/etc/nginx/modules/*'], action: 'restart' };
    const added = rootFile('/etc/nginx/modules/x', '');
    expect(plan([], [added], [nginx, restart])).toMatchObject({
      ...{ checks: ['nginx -t'], actions: [{ action: 'restart', unit: 'nginx.service' }] },
    });
  });
});

describe('a node needs a reboot', () => {
  const reasons = (planned: ReturnType<typeof plan>) =>
    planned.kind === 'reboot' ? planned.reasons : [];

  test('for a file that no rule names, and every such file is told', () => {
    const files = [rootFile('/etc/a', ''), rootFile('/.rolecall/remove', '/etc/b\n'), conf];
    expect(reasons(plan([], files))).toEqual([
      'no reload rule names /.rolecall/remove (added)',
      'no reload rule names /etc/a (added)',
    ]);
  });

  test('for a file where a folder was', () => {
    const [file, inside] = [rootFile('/srv/www/a', ''), rootFile('/srv/www/a/b', '')];
    const said = '/srv/www/a is a file in one set and a folder in the other';
    expect(reasons(plan([file], [inside]))).toEqual([said]);
    expect(reasons(plan([inside], [file]))).toEqual([said]);
  });

  test.each([
    ['another role', { roles: ['web', 'logs'] }, 'role web → web, logs'],
    ['another image', { image: digestOf('newer') }, 'another image'],
    ['other kernel arguments', { arguments: [] }, 'other kernel arguments'],
    ['another key', { secrets: [mailKey] }, 'other keys, which only a boot hands out'],
  ])('for %s', (_what, change, reason) => {
    const files = [conf];
    const after = { set: { ...set, ...change }, files };
    expect(reasons(planFollow({ set, files }, after, rules))).toEqual([reason]);
  });
});
