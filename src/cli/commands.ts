import type { RegisterCommand } from './command.ts';

/** The file of every noun of the command line, in the order in which help lists them. */
const files: Readonly<Record<string, () => Promise<{ readonly register: RegisterCommand }>>> = {
  init: () => import('./init.ts'),
  check: () => import('./check.ts'),
  plan: () => import('./plan.ts'),
  status: () => import('./status.ts'),
  explain: () => import('./explain.ts'),
  capture: () => import('./capture.ts'),
  render: () => import('./render.ts'),
  role: () => import('./role.ts'),
  build: () => import('./build.ts'),
  image: () => import('./image.ts'),
  certificate: () => import('./certificate.ts'),
  serve: () => import('./serve.ts'),
  probe: () => import('./probe.ts'),
  node: () => import('./node.ts'),
  volume: () => import('./volume.ts'),
  lab: () => import('./lab.ts'),
  bench: () => import('./bench.ts'),
};

/**
 * The command that these words of a command line name, and every one where they name none or are absent: to load
 * the sources of all takes longer than many a command.
 */
export async function loadCommands(words: readonly string[] = []): Promise<RegisterCommand[]> {
  const named = files[firstNoun(words) ?? ''];
  const loaded = await Promise.all((named ? [named] : Object.values(files)).map((load) => load()));
  return loaded.map(({ register }) => register);
}

/** The first word that is neither an option of all commands nor the value of one. */
function firstNoun(words: readonly string[]): string | undefined {
  const at = words.findIndex(
    (word, i) =>
      !/^--(site|state)$/.test(words[i - 1] ?? '') && !/^--(site|state|json)(=|$)/.test(word),
  );
  const word = words[at];
  return word !== undefined && Object.hasOwn(files, word) ? word : undefined;
}
