/** Of a word of some letters so many may be wrong, missing, too many or exchanged; of a short one fewer. */
const mistakesMax = 2;
const lettersPerMistake = 3;

/** What somebody most likely meant who typed a word that is none of those known; undefined when nothing is near. */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  const allowed = Math.min(mistakesMax, Math.max(1, Math.floor(typed.length / lettersPerMistake)));
  const [best] = known
    .map((word) => ({ word, mistakes: word.startsWith(typed) && typed !== '' ? 0 : distance(typed, word) }))
    .filter(({ mistakes }) => mistakes <= allowed)
    .toSorted((a, b) => a.mistakes - b.mistakes);
  return best?.word;
}

/** `; did you mean …?`, or nothing. @param prefix Of what is suggested, such as `--`. */
export function didYouMean(typed: string, known: readonly string[], prefix = ''): string {
  const word = nearest(typed.toLowerCase(), known);
  return word === undefined ? '' : `; did you mean ${prefix}${word}?`;
}

/** Letters that must be inserted, removed, replaced or exchanged with their neighbour (optimal string alignment). */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, index) => index)];
  const at = (row: number, column: number) => rows[row]?.[column] ?? 0;
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j += 1) {
      const isSame = a[i - 1] === b[j - 1];
      const isExchanged = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(
        Math.min(
          at(i - 1, j) + 1,
          at(i, j - 1) + 1,
          at(i - 1, j - 1) + (isSame ? 0 : 1),
          isExchanged ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
  }
  return at(a.length, b.length);
}
