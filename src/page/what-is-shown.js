/**
 * What the page says of what it shows, and what it says where there is nothing to show.
 *
 * @typedef {import('./page-state.js').PageState} PageState
 * @typedef {import('./reader.js').Shown} Shown
 */
import { explain, howToBegin } from './messages.js';
import { patternsOf } from './name-patterns.js';
import { seriesMax } from './palette.js';
import { isUnasked } from './selection.js';
import { formatBound } from './time-range.js';

/**
 * @param {Shown} shown
 * @param {PageState} state
 * @param {string} time When it was read.
 * @param {number} refreshMs 0: it stays as it is.
 */
export function describeShown(shown, state, time, refreshMs) {
  const { series, resolution, left, found, patternProblem, chosen } = shown;
  const metrics = series.length === 1 ? '1 metric' : `${series.length} metrics`;
  const refreshed =
    refreshMs > 0 ? `read at ${time}, again every ${refreshMs / 1000} s` : `read at ${time}; the range is fixed`;
  const summary = series.length === 0 ? '' : `${metrics}, a point every ${spell(resolution)}, ${refreshed}`;
  // While a pattern is wrong, what matches it is not known, and nobody can say that there is more.
  const isMore = left > 0 && (patternProblem === '' || state.names !== null);
  const isCut = isMore && chosen >= seriesMax;
  const silent = state.names ? state.names.length - left - series.length : shown.silent + chosen - series.length;
  const notes = [
    isCut &&
      `Only the first ${seriesMax} metrics are shown: more lines cannot be told apart. Type more of the name, or pick some.`,
    isMore && !isCut && `Only some of what matches is shown: the list ends after ${found.names.length} names.`,
    series.length > 0 &&
      silent > 0 &&
      `${silent} of the ${state.names ? 'picked ' : ''}metrics ${silent === 1 ? 'has' : 'have'} nothing in this range.`,
  ];
  return { summary, note: notes.filter(Boolean).join(' ') };
}

/** @param {string} resolution */
function spell(resolution) {
  return resolution.replace(/^(\d+)([smhdw])$/, (_, amount, unit) => `${amount} ${unit === 'm' ? 'min' : unit}`);
}

/**
 * @param {Shown} shown
 * @param {PageState} state
 * @param {object} page
 * @param {ReturnType<typeof import('./messages.js').createMessages>} page.messages
 * @param {(change: Partial<PageState>) => void} page.change
 * @param {import('./service.js').Service} page.service
 */
export function showEmpty({ found, series, patternProblem }, state, { messages, change, service }) {
  if (series.length > 0) return messages.empty();
  if (patternProblem !== '')
    return messages.empty('pattern', () =>
      explain('That is no pattern yet', 'See below the pattern what is wrong with it.'),
    );
  if (found.names.length === 0 && state.match === '') {
    return messages.empty('begin', () => howToBegin(new URL('./', location.href).href, service.hasToken()));
  }
  if (found.names.length === 0 && state.names === null) {
    const text = `The pattern is a regular expression, matched anywhere in the name: “latency” finds “web.latency.p95”.`;
    return messages.empty(`nothing ${state.match}`, () =>
      explain(`No metric matches ${state.match}`, text, [['Show all names', () => change({ match: '', names: null })]]),
    );
  }
  if (state.names?.length === 0) {
    return messages.empty('pick', () =>
      explain('What is to be shown?', 'Type a part of its name, or pick names from the list.'),
    );
  }
  if (isUnasked(state, found)) {
    const count = found.names.length;
    const isAll = !found.more && count <= seriesMax;
    const text = `There are ${found.more ? 'more than ' : ''}${count} metrics: type a part of a name, or pick names from the list.`;
    const label = isAll ? `Show all ${count}` : `Show the first ${seriesMax}`;
    return messages.empty(text, () => explain('What is to be shown?', text, [[label, () => change({ many: true })]]));
  }
  const listed = found.names.filter(({ name }) => state.names?.includes(name) ?? true);
  const isListed = state.names === null || listed.length === state.names.length;
  const goToLast = async () => {
    const last = lastOf(isListed ? listed : await spansOf(service, state.names ?? []));
    if (Number.isFinite(last)) change({ from: formatBound(last - 3_000), to: formatBound(last + 600) });
    else messages.problem('Nothing has ever come of what is picked.');
  };
  const go = () => void goToLast().catch((error) => messages.problem(error.message));
  return messages.empty(`silent ${lastOf(listed)} ${state.names}`, () =>
    explain(
      'Nothing in this range',
      `${isListed ? 'The metrics are known, but there' : 'There'} is nothing of ${state.names ? 'what is picked' : 'them'} in this time.`,
      [['Show the hour in which the last came', go]],
    ),
  );
}

/** @param {readonly import('./names-list.js').NamedSpan[]} spans */
function lastOf(spans) {
  return Math.max(...spans.map(({ last }) => last));
}

/**
 * Of names that the list does not hold: it ends somewhere, and a link may pick what does not match.
 *
 * @param {import('./service.js').Service} service
 * @param {readonly string[]} names
 * @returns {Promise<import('./names-list.js').NamedSpan[]>}
 */
async function spansOf(service, names) {
  const answers = await Promise.all(
    patternsOf(names).map((match) => service.get('metrics/names', new URLSearchParams({ match }))),
  );
  const spans = await Promise.all(answers.map(({ response }) => response.json()));
  return spans.flat().filter(({ name }) => names.includes(name));
}
