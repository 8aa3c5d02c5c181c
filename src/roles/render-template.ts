import ejs from 'ejs';

/** A template's text, or where and why there is none. */
export type Rendered =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly line: number; readonly message: string };

/**
 * What would make two renderings of one site differ, or reach out of it. Templates see these names as
 * undefined, so that using one fails with a file and a line.
 */
const hidden = {
  ...Object.fromEntries(
    ['process', 'globalThis', 'global', 'Date', 'fetch', 'performance', 'crypto'].map((name) => [
      name,
      undefined,
    ]),
  ),
  Math: Object.create(Math, { random: { value: undefined } }),
};

/**
 * Renders an ejs template as plain text: no HTML escaping, no include, strict mode.
 * A name that the context lacks is an error, and so is `<%= … %>` of undefined or null.
 */
export function renderTemplate(
  source: string,
  name: string,
  context: Readonly<Record<string, unknown>>,
): Rendered {
  const locals = { ...hidden, ...context };
  try {
    return { ok: true, text: compile(source, name, Object.keys(locals))(locals) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { ok: false, ...explain(error, source, name) };
  }
}

/** Compiling costs more than rendering, and one template serves every node of its role. */
const compiled = new Map<string, ejs.TemplateFunction>();
const compiledAtMost = 1000;

function compile(source: string, name: string, names: readonly string[]): ejs.TemplateFunction {
  const key = JSON.stringify([name, names, source]);
  const known = compiled.get(key);
  if (known) return known;
  const template = ejs.compile(source, {
    filename: name,
    strict: true,
    destructuredLocals: [...names],
    escape: definedText,
    includer: () => {
      throw new Error('include is not offered: a file of a role is complete in itself');
    },
  });
  if (compiled.size >= compiledAtMost) compiled.clear();
  compiled.set(key, template);
  return template;
}

function definedText(value: unknown): string {
  if (value === undefined || value === null) throw new Error(`the value here is ${value}`);
  return String(value);
}

/** ejs puts `name:line`, the lines around it and an empty line before the message. */
function explain(error: Error, source: string, name: string): { line: number; message: string } {
  if (!error.message.startsWith(`${name}:`)) {
    const [message = ''] = error.message.split(' while compiling ejs');
    return { line: firstBrokenLine(source), message: message.replace(` in ${name}`, '') };
  }
  const line = Number(/^\d+/.exec(error.message.slice(name.length + 1))?.[0] ?? 0);
  return { line, message: error.message.split('\n\n').slice(1).join(' ').trim() };
}

/** A syntax error has no place of its own: the line of the first tag that does not parse alone. */
function firstBrokenLine(source: string): number {
  const open = source.lastIndexOf('<%');
  if (open > source.lastIndexOf('%>')) return source.slice(0, open).split('\n').length;
  for (const match of source.matchAll(/<%[=-]([\s\S]*?)[-_]?%>/g)) {
    try {
      new Function(`return (${match[1]});`);
    } catch {
      return source.slice(0, match.index).split('\n').length;
    }
  }
  return 0;
}
