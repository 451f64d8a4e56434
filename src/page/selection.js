/**
 * What is to be asked of the service so that the person sees what is picked.
 *
 * @typedef {import('./page-state.js').PageState} PageState
 * @typedef {import('./names-list.js').NamedSpan} NamedSpan
 *
 * @typedef {object} Found
 * @property {readonly NamedSpan[]} names
 * @property {boolean} more
 *
 * @typedef {object} Selection
 * @property {readonly string[]} names Those that are to be shown; null in `patterns` shows whatever matches.
 * @property {readonly (string | undefined)[]} patterns One a request; undefined: every name.
 * @property {number} left How many are left out, at least, because there are too many.
 * @property {number} silent How many are known to have nothing in the range.
 * @property {boolean} isWhole True: whatever the answers hold belongs to it.
 */
import { patternsOf } from './name-patterns.js';
import { seriesMax } from './palette.js';

/** Without a pattern so many names are shown at once: of more, the person is to say which. */
const unaskedMax = 12;

/**
 * Whether nothing was picked, typed or asked for, and there is too much to show it all the same.
 *
 * @param {Pick<PageState, 'match' | 'names' | 'many'>} state
 * @param {Found} found
 */
export function isUnasked({ match, names, many }, found) {
  return names === null && match === '' && !many && (found.more || found.names.length > unaskedMax);
}

/**
 * @param {Pick<PageState, 'match' | 'names' | 'many'>} state
 * @param {Found} found
 * @param {{ from: number, to: number } | undefined} range Undefined: the page does not know it.
 * @returns {Selection}
 */
export function selectNames(state, found, range) {
  const { match, names: picked } = state;
  const isOpen = isUnasked(state, found);
  const chosen = isOpen ? [] : (picked ?? found.names.map(({ name }) => name));
  const spans = new Map(found.names.map((span) => [span.name, span]));
  const inRange = chosen.filter((name) => {
    const span = spans.get(name);
    return !span || !range || (span.last >= range.from && span.first <= range.to);
  });
  const names = inRange.slice(0, seriesMax);
  const silent = chosen.length - inRange.length;
  const left = inRange.length - names.length + (picked === null && !isOpen && found.more ? 1 : 0);
  if (picked === null && !isOpen && left === 0) {
    return {
      names,
      patterns: chosen.length === 0 ? [] : [match === '' ? undefined : match],
      left,
      silent,
      isWhole: true,
    };
  }
  return { names, patterns: patternsOf(names), left, silent, isWhole: false };
}

/**
 * The queries of a selection as `GET /metrics` takes them.
 *
 * @param {Selection} selection
 * @param {Readonly<Record<'from' | 'to' | 'resolution' | 'timezone', string>>} parameters
 * @returns {URLSearchParams[]}
 */
export function queriesOf({ patterns }, { from, to, resolution, timezone }) {
  return patterns.map((pattern) => {
    const query = new URLSearchParams(pattern === undefined ? {} : { name: pattern });
    for (const [key, value] of Object.entries({ from, to, resolution })) query.set(key, value);
    if (timezone !== 'UTC') query.set('timezone', timezone);
    // Charts tell what is an upper bound only.
    query.set('accuracy', 'true');
    return query;
  });
}
