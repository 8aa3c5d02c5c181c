import { describe, expect, it } from 'vitest';
import { missingForNamespace, type NamespaceFacts } from '../../../src/system/user-namespace.ts';

const facts: NamespaceFacts = {
  ...{ user: 'ci', uid: 1000, hasUidmap: true, refusal: undefined, forbidding: [] },
  subuid: 'other:100000:65536\nci:165536:65536\n',
  subgid: '1000:165536:65536\n',
};

describe('what an ordinary user lacks for a build', () => {
  const cases: [string, Partial<NamespaceFacts>, string[]][] = [
    ['nothing', {}, []],
    ['the programs', { hasUidmap: false }, ['newuidmap is not installed: apt-get install uidmap']],
    [
      'ids, or enough of them',
      { subuid: '', subgid: 'ci:100000:1000\n' },
      [
        'ci has no 65536 ids in /etc/subuid: usermod --add-subuids 100000-165535 ci',
        'ci has no 65536 ids in /etc/subgid: usermod --add-subgids 100000-165535 ci',
      ],
    ],
    [
      'a kernel that allows it',
      {
        refusal: 'Operation not permitted',
        forbidding: [
          'kernel.unprivileged_userns_clone=0',
          'kernel.apparmor_restrict_unprivileged_userns=1',
          'user.max_user_namespaces=0',
        ],
      },
      [
        'kernel.unprivileged_userns_clone=0 forbids user namespaces: sysctl -w kernel.unprivileged_userns_clone=1',
        'kernel.apparmor_restrict_unprivileged_userns=1 forbids user namespaces: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
        'user.max_user_namespaces=0 forbids user namespaces: sysctl -w user.max_user_namespaces=10000',
      ],
    ],
    [
      'a container that allows it',
      { refusal: 'unshare failed: Operation not permitted' },
      [
        'the kernel refuses a user namespace (unshare failed: Operation not permitted): a container may need more privileges',
      ],
    ],
  ];
  it.each(cases)('%s', (_what, lacking, said) => {
    expect(missingForNamespace({ ...facts, ...lacking })).toEqual(said);
  });
});
