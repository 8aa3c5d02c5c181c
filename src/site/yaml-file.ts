import type { Document, Pair, YAMLError } from 'yaml';
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { Problem } from '../errors.ts';
import { closestTo } from './did-you-mean.ts';

/** One YAML text with the lines of everything in it, and the problems found so far. */
interface YamlFile {
  readonly name: string;
  readonly document: Document;
  readonly lines: LineCounter;
  readonly problems: Problem[];
}

/**
 * Reads one YAML text (YAML 1.2 core, one document, every key a string) into its top-level place;
 * where the syntax is broken it adds every error to `problems` and gives back undefined.
 */
export function parseYaml(name: string, text: string, problems: Problem[]): YamlPlace | undefined {
  const broken = unreadable(name, text);
  if (broken) {
    problems.push(broken);
    return undefined;
  }
  const lines = new LineCounter();
  let document: Document;
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    problems.push(fileProblem(name, 'nested too deeply to be read', 'write it flatter'));
    return undefined;
  }
  const errors = [...document.errors, ...document.warnings];
  for (const error of errors) problems.push(syntaxProblem(name, text, lines, error));
  if (errors.length > 0) return undefined;
  if (document.contents === null || (isScalar(document.contents) && !document.contents.value)) {
    const hint = 'write it again, or delete it if nothing belongs here';
    problems.push(fileProblem(name, 'is empty', hint));
    return undefined;
  }
  return new YamlPlace({ name, document, lines, problems }, [], 1, document.contents as Node);
}

function fileProblem(file: string, message: string, hint: string, line = 0): Problem {
  return { file, line, path: '', message: `the file ${message}`, hint };
}

/** What no YAML parser explains well: a merge that stopped, a disk that filled up. */
function unreadable(file: string, text: string): Problem | undefined {
  if (text.includes('\0')) {
    return fileProblem(file, 'holds zero bytes', 'it was not written to its end: restore it');
  }
  const before = text.search(/^(<{7} |>{7} |={7}$)/m);
  if (before < 0) return undefined;
  const line = text.slice(0, before).split('\n').length;
  return fileProblem(file, 'holds an unfinished git merge', 'choose one of the two sides', line);
}

const syntaxHints: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'indent with spaces, two for each level',
  BAD_INDENT: 'put it under the key it belongs to, two spaces further in',
  BLOCK_AS_IMPLICIT_KEY: 'only one "key: value" on a line; quote a value that contains ": "',
  MISSING_CHAR: 'close the quote',
  MULTIPLE_DOCS: 'one file holds one document: take the --- line out',
  NON_STRING_KEY: 'a key is one word',
  TAG_RESOLVE_FAILED: 'quote the value if it starts with "!"',
  BAD_ALIAS: 'quote the value if it starts with "*" or "&"',
};

function syntaxHint(error: YAMLError): string {
  if (/^Flow|flow collection/.test(error.message)) return 'close the [ or { that is open above';
  if (/map values/.test(error.message)) return 'a colon and a space after the key: role: web';
  return syntaxHints[error.code] ?? 'correct the YAML here or just above';
}

function syntaxProblem(file: string, text: string, lines: LineCounter, error: YAMLError): Problem {
  const { line } = lines.linePos(error.pos[0]);
  if (error.code === 'DUPLICATE_KEY') {
    const key = /^["']?([^\s:"'{},]+)/.exec(text.slice(error.pos[0]))?.[1] ?? '';
    return {
      file,
      line,
      path: key,
      message: `${key} is written twice in one place`,
      hint: 'keep one of the two',
    };
  }
  const message =
    error.code === 'MULTIPLE_DOCS' ? 'more than one document in the file' : error.message;
  const hint = syntaxHint(error);
  return { file, line, path: '', message: `not valid YAML: ${message}`, hint };
}

/** A place in a YAML file: what stands there, on which line, under which keys. */
export class YamlPlace {
  readonly #file: YamlFile;
  readonly #node: Node | null;
  /** Whether an alias here leads nowhere; that is said once, and nothing more of this place. */
  readonly #broken: boolean;
  readonly keys: readonly (string | number)[];
  readonly line: number;

  constructor(
    file: YamlFile,
    keys: readonly (string | number)[],
    line: number,
    node: Node | null | undefined,
  ) {
    this.#file = file;
    this.keys = keys;
    this.line = line;
    this.#node = (isAlias(node) ? node.resolve(file.document) : node) ?? null;
    this.#broken = isAlias(node) && this.#node === null;
    if (isAlias(node) && this.#broken) {
      this.problem(
        `*${node.source} names no anchor above it`,
        'quote the value if it starts with "*"',
      );
    }
  }

  get file(): string {
    return this.#file.name;
  }

  /** The last key, as the operator would call this place. */
  get name(): string {
    const key = this.keys.at(-1);
    if (typeof key !== 'number') return key ?? this.file;
    return `entry ${key + 1} of ${this.keys.at(-2) ?? this.file}`;
  }

  /** Whether nothing is written here: `key:` and no more. */
  get isEmpty(): boolean {
    if (this.#broken) return false;
    return this.#node === null || (isScalar(this.#node) && this.#node.value === null);
  }

  get isMapping(): boolean {
    return isMap(this.#node);
  }

  get isList(): boolean {
    return isSeq(this.#node);
  }

  /** Adds a problem about this place; always gives back undefined, so that a reader can return it. */
  problem(message: string, hint = ''): undefined {
    this.#file.problems.push({
      file: this.file,
      line: this.line,
      path: this.keys.join('.'),
      message,
      hint,
    });
    return undefined;
  }

  /** The text as written, `0123` and `on` included; refuses lists, mappings and nothing. */
  text(example = ''): string | undefined {
    if (this.#broken) return undefined;
    const hint = example === '' ? '' : `such as ${this.name}: ${example}`;
    if (this.isEmpty) return this.problem(`${this.name} is empty`, hint);
    if (!isScalar(this.#node)) return this.#wrong('one value', hint);
    const { value, source } = this.#node;
    const text = typeof value === 'string' ? value : (source ?? String(value));
    return text === '' ? this.problem(`${this.name} is empty`, hint) : text;
  }

  /** One of the words. */
  oneOf<Word extends string>(words: readonly Word[]): Word | undefined {
    const text = this.text(words[0]);
    if (text === undefined) return undefined;
    const word = words.find((w) => w === text);
    if (word !== undefined) return word;
    const near = closestTo(text, words);
    const hint = near === undefined ? `one of: ${words.join(', ')}` : `did you mean ${near}?`;
    return this.problem(`${this.name}: ${text} is not possible`, hint);
  }

  flag(): boolean | undefined {
    if (isScalar(this.#node) && typeof this.#node.value === 'boolean') return this.#node.value;
    return this.#wrong('true or false', `type ${this.name}: true`);
  }

  /** The places of a list; a lone value is a list of one, nothing is an empty list. */
  items(): readonly YamlPlace[] {
    if (this.isEmpty) return [];
    if (!isSeq(this.#node)) return [this];
    return this.#node.items.map((item, index) => this.#inside(index, item as Node, item as Node));
  }

  /** The places of a mapping whose keys the operator chooses; nothing is an empty mapping. */
  entries(hint = ''): readonly (readonly [string, YamlPlace])[] {
    if (this.isEmpty) return [];
    if (!isMap(this.#node)) {
      this.#wrong('a mapping', hint);
      return [];
    }
    return (this.#node.items as Pair<Node, Node | null>[]).map((pair) => {
      const key = isScalar(pair.key) ? String(pair.key.value) : '';
      return [key, this.#inside(key, pair.key, pair.value)] as const;
    });
  }

  /** The places of a mapping that may hold these keys only; undefined where it is no mapping. */
  fields<Key extends string>(known: readonly Key[]): Fields<Key> | undefined {
    if (!this.isMapping) {
      const top = this.keys.length === 0;
      const example = top
        ? `lines such as ${known[0]}: …`
        : `such as ${this.name}: {${known[0]}: …}`;
      return this.isEmpty
        ? this.problem(`${this.name} is empty`, example)
        : this.#wrong('a mapping', example);
    }
    const entries = this.entries();
    const found: Partial<Record<Key, YamlPlace>> = {};
    for (const [key, place] of entries) {
      const name = known.find((k) => k === key) ?? place.#unknownKey(key, known);
      // A mistyped key is read on as what it was meant to be, or one mistake would give two problems.
      const taken = name !== key && entries.some(([other]) => other === name);
      if (name !== undefined && !taken) found[name] = place;
    }
    return found;
  }

  /** What is written here as plain JSON values; refuses an anchor that contains itself. */
  plain(): unknown {
    if (this.#node === null) return null;
    try {
      const value: unknown = this.#node.toJS(this.#file.document, { maxAliasCount: 100 });
      JSON.stringify(value);
      return value;
    } catch {
      return this.problem(`${this.name} holds an alias that cannot be followed`, 'write it out');
    }
  }

  #inside(key: string | number, start: Node, node: Node | null): YamlPlace {
    const offset = start.range?.[0];
    const line = offset === undefined ? this.line : this.#file.lines.linePos(offset).line;
    return new YamlPlace(this.#file, [...this.keys, key], line, node);
  }

  #wrong(expected: string, hint: string): undefined {
    if (this.#broken) return undefined;
    const found = isMap(this.#node) ? 'a mapping' : isSeq(this.#node) ? 'a list' : this.#shown();
    const name = this.keys.length === 0 ? 'the file' : this.name;
    return this.problem(`${name} must be ${expected}, not ${found}`, hint);
  }

  #shown(): string {
    const text = isScalar(this.#node) ? String(this.#node.source ?? this.#node.value) : '';
    return text === '' || text.length > 40 ? 'one value' : text;
  }

  #unknownKey<Key extends string>(key: string, known: readonly Key[]): Key | undefined {
    const near = closestTo(key, known);
    this.problem(
      `unknown key ${key}`,
      near === undefined ? `possible here: ${known.join(', ')}` : `did you mean ${near}?`,
    );
    return near;
  }
}

/** The places found under known keys. */
export type Fields<Key extends string> = Partial<Record<Key, YamlPlace>>;
