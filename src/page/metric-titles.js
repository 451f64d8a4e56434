/**
 * Names of metrics as a person reads them: `web.2` before `web.10`, and short enough for their place without losing what tells
 * one from the next.
 */
import { make } from './elements.js';

const collator = new Intl.Collator('en', { numeric: true });

/** Of two names, which comes first. @param {string} a @param {string} b */
export function compareNames(a, b) {
  return collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}

/** Of a name that stands alone the end is kept that is as long as this. */
const endMax = 24;

/**
 * Where each name may be cut when it does not fit: what is before is the same in all of them, so what differs is shown.
 *
 * @param {readonly string[]} names
 * @returns {(name: string) => number}
 */
export function cutsOf(names) {
  const [first = '', ...others] = new Set(names);
  if (others.length === 0) return (name) => Math.max(Math.ceil(name.length / 2), name.length - endMax);
  let same = 0;
  while (same < first.length && others.every((other) => other[same] === first[same])) same += 1;
  // Not in the middle of a tag, nor of a word.
  const shared = first.slice(0, same);
  const cut = Math.max(shared.lastIndexOf(';'), shared.includes(';') ? -1 : shared.search(/[.,_/-][^.,_/-]*$/)) + 1;
  return () => cut;
}

/**
 * A name in two parts, of which the first gives way when there is no room. The whole stays readable for all who do not look.
 *
 * @param {string} name
 * @param {number} cut
 * @returns {HTMLElement}
 */
export function makeTitle(name, cut) {
  const tail = make('span', { class: 'tail' }, name.slice(cut));
  if (cut === 0) return make('span', { class: 'title' }, tail);
  return make('span', { class: 'title' }, make('span', { class: 'head' }, name.slice(0, cut)), tail);
}
