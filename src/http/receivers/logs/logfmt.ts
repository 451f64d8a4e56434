/** A pair of logfmt. */
export interface Pair {
  readonly key: string;
  /** Undefined where the key stands alone, empty where nothing follows its equals sign. */
  readonly value: string | undefined;
  /** False: the quote that begins its value does not end. */
  readonly isWhole: boolean;
}

/** Key, then an equals sign and a value, quoted or not. Whatever else there is, quotes above all, separates. */
const pair = /([^ "=\p{Cc}]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^ "=\p{Cc}]*)))?/gsu;

/**
 * The pairs of a line, as kr/logfmt finds them, which l2met used. A quote that does not end costs its own pair, and what
 * follows it is read on.
 */
export function* pairsOf(line: string): Generator<Pair> {
  for (const { 0: all, 1: key = '', 2: quoted, 3: bare, index } of line.matchAll(pair)) {
    if (quoted !== undefined) yield { key, value: unquote(quoted), isWhole: true };
    else yield { key, value: bare, isWhole: bare !== '' || line[index + all.length] !== '"' };
  }
}

/** Escapes are those of JSON; of what is none, each character stands for itself. */
function unquote(quoted: string): string {
  if (!quoted.includes('\\')) return quoted;
  try {
    return JSON.parse(`"${quoted}"`);
  } catch {
    return quoted.replaceAll(/\\(.)/gs, '$1');
  }
}
