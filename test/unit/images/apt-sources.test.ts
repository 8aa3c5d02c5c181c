import { describe, expect, it } from 'vitest';
import {
  type AptSource,
  mapToSuite,
  parseDeb822Sources,
  parseOneLineSources,
  renderAptSource,
} from '../../../src/images/apt-sources.ts';
import { debian } from '../../../src/images/distributions/debian.ts';
import { isReleaseOf } from '../../../src/images/suite-sources.ts';

const plain = { components: ['main'], signedBy: undefined, trusted: false };

describe('one-line sources', () => {
  const cases: [string, string, AptSource[]][] = [
    [
      'a repository',
      'deb http://m.test/debian/ bookworm main contrib # near\n',
      [
        {
          ...plain,
          uri: 'http://m.test/debian',
          suite: 'bookworm',
          components: ['main', 'contrib'],
        },
      ],
    ],
    [
      'options',
      'deb [arch=amd64 signed-by=/k.gpg trusted=yes] file:/mirror trixie main',
      [
        {
          uri: 'file:/mirror',
          suite: 'trixie',
          components: ['main'],
          signedBy: '/k.gpg',
          trusted: true,
        },
      ],
    ],
    ['sources of programs', 'deb-src http://m.test/debian bookworm main', []],
    ['a line that is switched off', '# deb http://m.test/debian bookworm main', []],
    ['nothing', '\n\n', []],
  ];
  it.each(cases)('%s', (_name, text, expected) => {
    expect(parseOneLineSources(text)).toEqual(expected);
  });
});

describe('deb822 sources', () => {
  const cases: [string, string, AptSource[]][] = [
    [
      'a stanza with two suites, a comment and a continued field',
      [
        'Types: deb deb-src',
        '# a comment',
        'URIs: http://m.test/debian',
        'Suites: bookworm',
        ' bookworm-updates',
        'Components: main',
        'Signed-By: /usr/share/keyrings/debian.gpg',
      ].join('\n'),
      ['bookworm', 'bookworm-updates'].map((suite) => ({
        ...plain,
        uri: 'http://m.test/debian',
        suite,
        signedBy: '/usr/share/keyrings/debian.gpg',
      })),
    ],
    [
      'two stanzas, the first switched off',
      'Types: deb\nURIs: http://a.test\nSuites: bookworm\nComponents: main\nEnabled: no\n\nTypes: deb\nURIs: http://b.test\nSuites: bookworm\nComponents: main\n',
      [{ ...plain, uri: 'http://b.test', suite: 'bookworm' }],
    ],
    [
      'a key in the stanza itself',
      'Types: deb\nURIs: http://b.test\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEY\n',
      [{ ...plain, uri: 'http://b.test', suite: 'bookworm' }],
    ],
    [
      'only sources of programs',
      'Types: deb-src\nURIs: http://b.test\nSuites: x\nComponents: main',
      [],
    ],
  ];
  it.each(cases)('%s', (_name, text, expected) => {
    expect(parseDeb822Sources(text)).toEqual(expected);
  });
});

describe('the suite to build, from the host’s repositories', () => {
  const at = (uri: string, suite: string, components = ['main']) => ({
    ...plain,
    uri,
    suite,
    components,
  });
  const cases: [string, AptSource[], string[]][] = [
    [
      'the suite, its updates and its security updates',
      [at('a', 'bookworm'), at('a', 'bookworm-updates'), at('s', 'bookworm-security')],
      ['a trixie', 'a trixie-updates', 's trixie-security'],
    ],
    ['the old name of security updates', [at('s', 'buster/updates')], ['s trixie-security']],
    ['a host that follows stable', [at('a', 'stable')], ['a trixie']],
    ['main alone', [at('a', 'bookworm', ['main', 'non-free'])], ['a trixie']],
    ['nothing of other components', [at('a', 'bookworm', ['stable'])], []],
    ['nothing of other suites', [at('a', 'bookworm-pgdg'), at('a', 'nodistro')], []],
    ['nothing of a disc', [at('cdrom:[Debian]', 'bookworm')], []],
    ['each once', [at('a', 'bookworm'), at('a', 'trixie')], ['a trixie']],
  ];
  it.each(cases)('%s', (_name, sources, expected) => {
    const mapped = mapToSuite(sources, 'trixie', debian);
    expect(mapped.map((source) => `${source.uri} ${source.suite}`)).toEqual(expected);
    for (const source of mapped) expect(source.components).toEqual(['main']);
  });

  it('is written as a line of sources.list', () => {
    const source = { uri: 'http://m.test', suite: 'trixie', components: ['main'] };
    expect(renderAptSource({ ...source, signedBy: '/k.gpg', trusted: true })).toBe(
      'deb [signed-by=/k.gpg trusted=yes] http://m.test trixie main',
    );
    expect(renderAptSource({ ...source, signedBy: undefined, trusted: false })).toBe(
      'deb http://m.test trixie main',
    );
  });

  it('must be Debian’s own by its index', () => {
    const index = 'Origin: Debian\nSuite: stable\nCodename: trixie\n';
    expect(isReleaseOf(index, 'trixie', debian)).toBe(true);
    expect(isReleaseOf(index, 'trixie-updates', debian)).toBe(false);
    expect(isReleaseOf(index.replace('Debian', 'Node Source'), 'trixie', debian)).toBe(false);
  });
});
