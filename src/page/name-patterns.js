/** The service takes no longer ones. */
const patternBytesMax = 256;

const encoder = new TextEncoder();

/** What means more than itself. */
const special = /[\\^$.|?*+()[\]{}]/g;

/** @param {string} text */
const bytesOf = (text) => encoder.encode(text).length;

/**
 * Patterns that together match some names, to the letter, in their order, each as short as the service takes it. In that of a
 * name that is too long for that, some characters stand for any, and others may match as well. What such a pattern matches
 * of the names that are wanted has no pattern of its own, so none comes twice, unless it is like two others at once.
 *
 * @param {readonly string[]} names
 * @returns {string[]}
 */
export function patternsOf(names) {
  const loose = loosePatterns(names);
  /** @type {string[]} */
  const patterns = [];
  let inside = '';
  const end = () => {
    if (inside !== '') patterns.push(`^(${inside})$`);
    inside = '';
  };
  for (const name of names) {
    const own = loose.get(name);
    if (own) {
      end();
      patterns.push(own);
    } else if (!isMatched(name, loose)) {
      const escaped = escapePattern(name);
      if (!fits(`${inside}|${escaped}`)) end();
      inside = inside === '' ? escaped : `${inside}|${escaped}`;
    }
  }
  end();
  return patterns;
}

/**
 * Of the names that are too long to be matched to the letter, those that no pattern of another matches.
 *
 * @param {readonly string[]} names
 */
function loosePatterns(names) {
  /** @type {Map<string, string>} */
  const loose = new Map();
  // A pattern that matches another name too has more characters that stand for any, so it comes before that of the other.
  for (const name of names.toSorted((a, b) => escapePattern(b).length - escapePattern(a).length)) {
    if (!fits(escapePattern(name)) && !isMatched(name, loose)) loose.set(name, loosePattern(name));
  }
  return loose;
}

/** @param {string} name @param {ReadonlyMap<string, string>} patterns */
function isMatched(name, patterns) {
  return [...patterns.values()].some((pattern) => new RegExp(pattern, 'su').test(name));
}

/** @param {string} inside */
function fits(inside) {
  return bytesOf(`^(${inside})$`) <= patternBytesMax;
}

/**
 * Text as a regular expression of PostgreSQL that matches it alone.
 *
 * @param {string} text
 */
export function escapePattern(text) {
  return text.replace(special, '\\$&');
}

/**
 * The whole name, as many of its characters escaped as there is room for, any character in the place of the others. Of the
 * longest, of 255 bytes, its end goes without saying: no name is longer.
 *
 * @param {string} name
 */
function loosePattern(name) {
  const end = bytesOf(name) + 2 > patternBytesMax ? '' : '$';
  let room = patternBytesMax - bytesOf(`^${name}${end}`);
  return `^${name.replace(special, (character) => (room-- > 0 ? `\\${character}` : '.'))}${end}`;
}
