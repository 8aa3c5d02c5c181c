/**
 * Whether a path on the node is one of those that a glob names: `*` and `?` stand for characters of one
 * name, `**` for whole folders, `/etc/nginx/**` for everything below /etc/nginx. A leading dot is a character
 * as any other.
 */
export function matchesPath(glob: string, path: string): boolean {
  return patternOf(glob).test(path);
}

const patterns = new Map<string, RegExp>();

function patternOf(glob: string): RegExp {
  const known = patterns.get(glob);
  if (known) return known;
  const source = glob.replace(/\*\*\/|\*\*|\*|\?|[\\^$.+()[\]{}|]/g, (part) => {
    switch (part) {
      case '**/':
        return '(?:[^/]+/)*';
      case '**':
        return '.*';
      case '*':
        return '[^/]*';
      case '?':
        return '[^/]';
      default:
        return `\\${part}`;
    }
  });
  const pattern = new RegExp(`^${source}$`);
  patterns.set(glob, pattern);
  return pattern;
}
