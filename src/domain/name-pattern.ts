/** Long enough for an alternation of a few names; the cost of a pattern grows with its length. */
const patternBytesMax = 256;

/**
 * Checks a name pattern as far as m2pg can without PostgreSQL, which alone knows its syntax.
 *
 * Back-references are refused: they are the one construct of PostgreSQL's regular expressions whose matching takes
 * exponential time (measured: seconds on one name); its automata run the others in linear time.
 *
 * @returns What is wrong with it, or undefined.
 */
export function namePatternProblem(pattern: string): string | undefined {
  if (Buffer.byteLength(pattern) > patternBytesMax) return `is longer than ${patternBytesMax} bytes`;
  if (!pattern.isWellFormed() || pattern.includes('\0')) return 'must be well-formed text without NUL';
  // An escaped character is consumed as a pair, so that `\\1`, a backslash and a digit, is not taken for one. Whether the
  // second backslash of `\c\` is part of a pair depends on options inside the pattern; nobody needs that character.
  for (const [, escaped] of pattern.matchAll(/\\(c\\|.)/gs)) {
    if (escaped !== undefined && /^[1-9]/.test(escaped)) return 'must not hold back-references such as \\1';
    if (escaped === 'c\\') return 'must not hold the control character \\c\\';
  }
  return undefined;
}
