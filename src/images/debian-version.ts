/**
 * Order of two Debian versions by deb-version(7): below zero where `a` is the older. Written here
 * rather than asked of dpkg, so that a boot server on any distribution compares images.
 */
export function compareDebianVersions(a: string, b: string): number {
  const [x, y] = [split(a), split(b)];
  return (
    x.epoch - y.epoch ||
    compareParts(x.upstream, y.upstream) ||
    compareParts(x.revision, y.revision)
  );
}

function split(version: string): { epoch: number; upstream: string; revision: string } {
  const colon = version.indexOf(':');
  const rest = version.slice(colon + 1);
  const hyphen = rest.lastIndexOf('-');
  return {
    epoch: colon < 0 ? 0 : Number(version.slice(0, colon)),
    upstream: hyphen < 0 ? rest : rest.slice(0, hyphen),
    // An absent revision is the same as 0.
    revision: hyphen < 0 ? '0' : rest.slice(hyphen + 1),
  };
}

/** Runs of non-digits and of digits in turn; an absent number counts as zero. */
function compareParts(a: string, b: string): number {
  let [x, y] = [a, b];
  while (x !== '' || y !== '') {
    const [wordX, wordY] = [leading(x, /^\D*/), leading(y, /^\D*/)];
    const byWord = compareWords(wordX, wordY);
    if (byWord !== 0) return byWord;
    [x, y] = [x.slice(wordX.length), y.slice(wordY.length)];
    const [digitsX, digitsY] = [leading(x, /^\d*/), leading(y, /^\d*/)];
    // Dates with a time are longer than what a double holds.
    const [numberX, numberY] = [BigInt(digitsX || '0'), BigInt(digitsY || '0')];
    if (numberX !== numberY) return numberX < numberY ? -1 : 1;
    [x, y] = [x.slice(digitsX.length), y.slice(digitsY.length)];
  }
  return 0;
}

function leading(text: string, pattern: RegExp): string {
  return pattern.exec(text)?.[0] ?? '';
}

function compareWords(a: string, b: string): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = weight(a[i]) - weight(b[i]);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** `~` sorts before the end of a part, letters before all else. */
function weight(character: string | undefined): number {
  if (character === undefined) return 0;
  if (character === '~') return -1;
  const code = character.charCodeAt(0);
  return /[A-Za-z]/.test(character) ? code : code + 256;
}
