/**
 * What a person looks at, all of it, as the query of the page's address: a link shows a colleague the same.
 *
 * @typedef {'count' | 'sum' | 'mean' | 'median' | 'perc95' | 'perc99' | 'band' | 'last'} Shown
 *
 * @typedef {object} PageState
 * @property {string} match The pattern that was typed.
 * @property {readonly string[] | null} names Those that are picked; null: all that match.
 * @property {boolean} many All names are wanted, however many; of use only where `names` is null and `match` is ''.
 * @property {string} from As `GET /metrics` takes it.
 * @property {string} to
 * @property {string} resolution `auto`, or as `GET /metrics` takes it.
 * @property {string} timezone IANA name.
 * @property {readonly Shown[]} statistics In the order of `shownNames`.
 * @property {'each' | 'overlaid'} layout A chart for each metric, or all of them in one.
 */

/** What can be shown of a metric, in the order of its legend. */
export const shownNames = /** @type {const} */ (['band', 'mean', 'median', 'perc95', 'perc99', 'last', 'count', 'sum']);

/** What is shown to whoever comes without a link. */
export const initialState = /** @type {PageState} */ ({
  match: '',
  names: null,
  many: false,
  from: '-1h',
  to: 'now',
  resolution: 'auto',
  timezone: 'UTC',
  statistics: ['mean', 'perc95'],
  layout: 'each',
});

/**
 * Reads the query of an address. What is left out or makes no sense is as at first; times and resolutions are for the
 * service to judge. Of names that are there twice one is taken.
 *
 * @param {string} search
 * @returns {PageState}
 */
export function parseState(search) {
  const query = new URLSearchParams(search);
  const text = (/** @type {'match' | 'from' | 'to' | 'resolution' | 'timezone'} */ key) =>
    query.get(key) || initialState[key];
  const names = [...new Set(query.getAll('name'))];
  const match = text('match');
  const isPicked = names.length > 0 || query.get('pick') === 'none';
  const shown = query.get('show')?.split(',');
  const statistics = shown ? shownNames.filter((name) => shown.includes(name)) : initialState.statistics;
  return {
    match,
    names: isPicked ? names : null,
    many: !isPicked && match === '' && query.get('pick') === 'all',
    from: text('from'),
    to: text('to'),
    resolution: text('resolution'),
    timezone: text('timezone'),
    statistics: statistics.length > 0 ? statistics : initialState.statistics,
    layout: query.get('layout') === 'overlaid' ? 'overlaid' : 'each',
  };
}

/**
 * The query that `parseState` reads: only what is not as at first, so that it stays short. `''` or `?…`.
 *
 * @param {PageState} state
 */
export function formatState(state) {
  const query = new URLSearchParams();
  for (const key of /** @type {const} */ (['match', 'from', 'to', 'resolution', 'timezone', 'layout'])) {
    if (state[key] !== initialState[key]) query.set(key, state[key]);
  }
  if (state.statistics.join() !== initialState.statistics.join()) query.set('show', state.statistics.join());
  if (state.names?.length === 0) query.set('pick', 'none');
  if (state.names === null && state.match === '' && state.many) query.set('pick', 'all');
  for (const name of state.names ?? []) query.append('name', name);
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}
