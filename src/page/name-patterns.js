/** The service takes no longer ones. */
const patternBytesMax = 256;

const encoder = new TextEncoder();

/** @param {string} text */
const bytesOf = (text) => encoder.encode(text).length;

/**
 * Patterns that together match some names, to the letter, each as short as the service takes it. A name that is too long
 * for that is matched by how it begins, and others may match as well.
 *
 * @param {readonly string[]} names
 * @returns {string[]}
 */
export function patternsOf(names) {
  /** @type {string[]} */
  const patterns = [];
  let inside = '';
  for (const name of names) {
    const escaped = escapePattern(name);
    const longer = inside === '' ? escaped : `${inside}|${escaped}`;
    if (bytesOf(`^(${longer})$`) <= patternBytesMax) {
      inside = longer;
      continue;
    }
    if (inside !== '') patterns.push(`^(${inside})$`);
    const fits = bytesOf(`^(${escaped})$`) <= patternBytesMax;
    inside = fits ? escaped : '';
    if (!fits) patterns.push(beginningOf(name));
  }
  if (inside !== '') patterns.push(`^(${inside})$`);
  return patterns;
}

/**
 * Text as a regular expression of PostgreSQL that matches it alone.
 *
 * @param {string} text
 */
export function escapePattern(text) {
  return text.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&');
}

/** @param {string} name */
function beginningOf(name) {
  let pattern = '^';
  for (const character of name) {
    const longer = pattern + escapePattern(character);
    if (bytesOf(longer) > patternBytesMax) break;
    pattern = longer;
  }
  return pattern;
}
