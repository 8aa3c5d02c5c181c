import type { Problem } from './errors.ts';

/** Problems as lines an editor or terminal can jump to: `file:line: message`, the hint below, grouped by file. */
export function renderProblems(problems: readonly Problem[]): string {
  const files = [...new Set(problems.map((p) => p.file))];
  return files
    .map((file) =>
      problems
        .filter((p) => p.file === file)
        .map(renderProblem)
        .join('\n'),
    )
    .join('\n\n');
}

function renderProblem(problem: Problem): string {
  const at = [problem.file, problem.line > 0 ? String(problem.line) : ''].filter((p) => p !== '');
  const head = [at.join(':'), problem.message].filter((p) => p !== '').join(': ');
  return problem.hint === '' ? head : `${head}\n    ${problem.hint}`;
}

/** `3 problems`, `1 node`. */
export function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`;
}
