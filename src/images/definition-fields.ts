import type { YamlPlace } from '../site/yaml-file.ts';

/** Debian policy 5.6.7. */
export const packageName = /^[a-z0-9][a-z0-9+.-]+$/;

/** The items of a list; none where there is no list. */
export function places(place: YamlPlace | undefined): readonly YamlPlace[] {
  return place?.items() ?? [];
}

/** The text, of which it is said where it has not the shape of `what`; empty where there is none. */
export function readShape(
  place: YamlPlace | undefined,
  shape: RegExp,
  what: string,
  example: string,
): string {
  const text = place?.text(example) ?? '';
  if (text !== '' && !shape.test(text)) {
    place?.problem(`${text} is not ${what}`, `such as ${place.name}: ${example}`);
  }
  return text;
}

/** The words of a list that have the shape of `what`, each once; it is said of the others. */
export function readWords(
  place: YamlPlace | undefined,
  shape: RegExp,
  what: string,
): readonly string[] {
  const words: string[] = [];
  for (const item of places(place)) {
    const word = item.text();
    if (word === undefined) continue;
    if (!shape.test(word)) item.problem(`${word} is not ${what}`, 'correct it, or take it out');
    else if (words.includes(word)) item.problem(`${word} is listed twice`, 'once is enough');
    else words.push(word);
  }
  return words;
}

/** A path below the root, without a leading slash. */
export function readPath(place: YamlPlace | undefined): string | undefined {
  const text = place?.text('usr/share/doc');
  if (text === undefined) return undefined;
  if (!text.startsWith('/') && !text.split('/').includes('..')) return text;
  return place?.problem(
    `${text} is not a path below the root`,
    'write it without a leading slash and without ..',
  );
}
