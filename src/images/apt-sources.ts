import type { Distribution } from './distributions/distribution.ts';

/** One repository line of sources.list(5), one suite each. */
export interface AptSource {
  readonly uri: string;
  readonly suite: string;
  readonly components: readonly string[];
  /** Options that decide whether the repository is trusted; others are the host's own matter. */
  readonly signedBy: string | undefined;
  readonly trusted: boolean;
}

/** The enabled binary repositories of a one-line file, sources.list(5). */
export function parseOneLineSources(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
    if (!match) return [];
    const [, options = '', uri = '', suite = '', components = ''] = match;
    const option = new Map(
      words(options).map((o): [string, string] => {
        const at = o.indexOf('=');
        return [o.slice(0, at).toLowerCase(), o.slice(at + 1)];
      }),
    );
    return [
      {
        uri: withoutEndingSlash(uri),
        suite,
        components: words(components),
        signedBy: option.get('signed-by'),
        trusted: option.get('trusted') === 'yes',
      },
    ];
  });
}

/** The enabled binary repositories of a deb822 file (`*.sources`), sources.list(5). */
export function parseDeb822Sources(text: string): AptSource[] {
  const stanzas = text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .split(/\n[ \t]*\n/);
  return stanzas.flatMap((stanza) => {
    const field = deb822Fields(stanza);
    if (!words(field.get('types')).includes('deb')) return [];
    if (/^(no|false|0)$/i.test(field.get('enabled')?.trim() ?? '')) return [];
    const signedBy = field.get('signed-by')?.trim();
    return words(field.get('uris')).flatMap((uri) =>
      words(field.get('suites')).map((suite) => ({
        uri: withoutEndingSlash(uri),
        suite,
        components: words(field.get('components')),
        // A key written into the stanza itself cannot be named on another program's line.
        signedBy: signedBy?.startsWith('/') ? signedBy : undefined,
        trusted: /^yes$/i.test(field.get('trusted')?.trim() ?? ''),
      })),
    );
  });
}

/**
 * What of `sources` may hold `suite`: the host's repositories of the distribution with their suites mapped.
 * Third parties also use Debian's code names, so each candidate must still prove its origin.
 */
export function mapToSuite(
  sources: readonly AptSource[],
  suite: string,
  distribution: Pick<Distribution, 'suite' | 'component'>,
): AptSource[] {
  const { component } = distribution;
  const seen = new Set<string>();
  return sources.flatMap((source) => {
    const match = distribution.suite.exec(source.suite);
    if (!match || !source.components.includes(component)) return [];
    if (source.uri.startsWith('cdrom:')) return [];
    const kind = match[1] === '/updates' ? '-security' : (match[1] ?? '');
    const mapped = { ...source, suite: `${suite}${kind}`, components: [component] };
    const name = `${mapped.uri} ${mapped.suite}`;
    if (seen.has(name)) return [];
    seen.add(name);
    return [mapped];
  });
}

/** The repository as one line of sources.list(5). */
export function renderAptSource(source: AptSource): string {
  const options = [
    ...(source.signedBy ? [`signed-by=${source.signedBy}`] : []),
    ...(source.trusted ? ['trusted=yes'] : []),
  ];
  const bracket = options.length > 0 ? `[${options.join(' ')}] ` : '';
  return `deb ${bracket}${source.uri} ${source.suite} ${source.components.join(' ')}`;
}

/** Fields of one deb822 stanza by lower-case name; continuation lines are joined by newlines. */
export function deb822Fields(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let name = '';
  for (const line of stanza.split('\n')) {
    const start = /^([!-9;-~]+):(.*)$/.exec(line);
    if (start?.[1] !== undefined && !/^\s/.test(line)) {
      name = start[1].toLowerCase();
      fields.set(name, (start[2] ?? '').trim());
    } else if (name !== '' && /^\s/.test(line)) {
      fields.set(name, `${fields.get(name)}\n${line.trim()}`);
    }
  }
  return fields;
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((word) => word !== '');
}

function withoutEndingSlash(uri: string): string {
  return uri.replace(/\/+$/, '');
}
