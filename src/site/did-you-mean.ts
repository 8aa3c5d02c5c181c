/** The choice nearest to a mistyped word, or undefined where none is near; ties go to the first. */
export function closestTo<Choice extends string>(
  word: string,
  choices: Iterable<Choice>,
): Choice | undefined {
  const limit = Math.max(1, Math.floor(word.length / 3));
  let best: Choice | undefined;
  let bestDistance = limit + 1;
  for (const choice of choices) {
    const distance = editDistance(word.toLowerCase(), choice.toLowerCase());
    if (distance < bestDistance) {
      best = choice;
      bestDistance = distance;
    }
  }
  return best;
}

/** Insertions, deletions, changes and swaps of neighbours that turn one word into the other. */
export function editDistance(from: string, to: string): number {
  const rows: number[][] = [Array.from({ length: to.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number) => rows[row]?.[column] ?? 0;
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= to.length; j++) {
      const change = from[i - 1] === to[j - 1] ? 0 : 1;
      let cost = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + change);
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      if (swapped) cost = Math.min(cost, at(i - 2, j - 2) + 1);
      row.push(cost);
    }
  }
  return at(from.length, to.length);
}

/** `did you mean gateway?`, or the whole list of what is possible. */
export function suggestion(word: string, choices: readonly string[], what: string): string {
  const near = closestTo(word, choices);
  if (near !== undefined) return `did you mean ${near}?`;
  return choices.length > 0 ? `${what}: ${choices.join(', ')}` : `there is none yet`;
}
