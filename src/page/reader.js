import { toSeries } from './columns.js';
import { compareNames } from './metric-titles.js';
import { seriesMax } from './palette.js';
import { queriesOf, selectNames } from './selection.js';
import { joinCompleteness, ServiceError } from './service.js';
import { parseBound, resolutionFor } from './time-range.js';
import { stepOf, wholeBuckets } from './whole-buckets.js';

/**
 * @typedef {import('./page-state.js').PageState} PageState
 * @typedef {import('./columns.js').Series} Series
 * @typedef {import('./service.js').Service} Service
 * @typedef {import('./service.js').Answer} Answer
 * @typedef {import('./service.js').Completeness} Completeness
 *
 * @typedef {object} Shown What was found, and what it is of.
 * @property {import('./selection.js').Found} found
 * @property {string} patternProblem What is wrong with the pattern; ''.
 * @property {readonly string[] | null} picked
 * @property {readonly Series[]} series
 * @property {number} chosen How many metrics were asked for.
 * @property {number} silent How many have nothing in the range.
 * @property {number} left How many more there are, at least, that are not shown.
 * @property {Completeness} completeness
 * @property {{ from: number, to: number }} range Unix seconds.
 * @property {string} resolution
 * @property {number} stepSeconds
 * @property {readonly URLSearchParams[]} queries With the bounds as they were, as instants.
 */

/** More than a person picks from; the rest is found by a longer pattern. */
const namesLimit = '200';

/** Names come and go more slowly than values. */
const namesEveryMs = 20_000;

/** The bucket that begins where the range ends is not part of it; of that one, a first sample would be all there is. */
const tick = 0.001;

const everything = { complete: true, outcomes: [] };

/** @typedef {{ found: import('./selection.js').Found, completeness: Completeness, patternProblem: string }} FoundNames */

/**
 * Reads what a state asks for.
 *
 * @param {Service} service
 * @param {(metrics: number) => number} width Of a chart in pixels, where so many metrics are shown.
 */
export function createReader(service, width) {
  /** @type {{ match: string, atMs: number, names: FoundNames } | undefined} */
  let known;

  /** @param {string} match @param {AbortSignal} signal @returns {Promise<FoundNames>} */
  const findNames = async (match, signal) => {
    const isFresh =
      known?.match === match &&
      known.names.completeness.complete &&
      known.names.found.names.length > 0 &&
      performance.now() - known.atMs < namesEveryMs;
    // What is said of an answer is said once: the page speaks of the latest.
    if (known && isFresh) return { ...known.names, completeness: everything };
    const names = await askForNames(service, match, signal, known?.names.found ?? { names: [], more: false });
    known = { match, atMs: performance.now(), names };
    return names;
  };

  return {
    /**
     * @param {PageState} state
     * @param {AbortSignal} signal
     * @returns {Promise<Shown>} Rejects with a ServiceError.
     */
    async read(state, signal) {
      const { found, completeness, patternProblem } = await findNames(state.match, signal);
      const now = service.now();
      const [from, to] = [parseBound(state.from, now), parseBound(state.to, now)];
      const range = from === undefined || to === undefined ? undefined : { from, to };
      const selection = selectNames(state, found, range);
      const resolution =
        state.resolution === 'auto'
          ? resolutionFor(range ? range.to - range.from : 3_600, width(selection.names.length))
          : state.resolution;
      // What the page does not understand, the service judges.
      const stepSeconds = stepOf(resolution);
      const start = range ? wholeStart(range.from, stepSeconds) : Number.NEGATIVE_INFINITY;
      const bounds = range
        ? { from: String(start), to: String(Math.ceil(range.to) - tick) }
        : { from: state.from, to: state.to };
      const queries = queriesOf(selection, { ...bounds, resolution, timezone: state.timezone });
      const answers = await Promise.all(queries.map((query) => service.get('metrics', query, signal)));
      const isWhole = wholeBuckets({ ...state, resolution, from: start, to: range?.to ?? now, now });
      const series = await seriesOf(answers, selection, isWhole);
      return {
        found,
        patternProblem,
        picked: state.names,
        series,
        chosen: selection.names.length,
        left: selection.left,
        silent: selection.silent,
        completeness: joinCompleteness([completeness, ...answers.map((answer) => answer.completeness)]),
        range: range ?? rangeOf(series),
        resolution,
        stepSeconds,
        queries,
      };
    },
  };
}

/**
 * A pattern is often not one yet while it is typed: that is told, and what was found before stays.
 *
 * @param {Service} service
 * @param {string} match
 * @param {AbortSignal} signal
 * @param {import('./selection.js').Found} before
 * @returns {Promise<FoundNames>}
 */
async function askForNames(service, match, signal, before) {
  try {
    const query = new URLSearchParams(match === '' ? { limit: namesLimit } : { match, limit: namesLimit });
    const { response, completeness } = await service.get('metrics/names', query, signal);
    /** @type {import('./names-list.js').NamedSpan[]} */
    const names = await response.json();
    names.sort((a, b) => compareNames(a.name, b.name));
    const found = { names, more: response.headers.get('M2pg-More') === 'true' };
    return { found, completeness, patternProblem: '' };
  } catch (error) {
    if (!(error instanceof ServiceError) || error.status !== 422) throw error;
    return { found: { ...before, more: true }, completeness: everything, patternProblem: error.message };
  }
}

/**
 * Where the first bucket begins, so that it is whole. Days and longer depend on their zone: those are left as they are.
 *
 * @param {number} from
 * @param {number} stepSeconds
 */
function wholeStart(from, stepSeconds) {
  const step = stepSeconds < 86_400 ? stepSeconds : 1;
  return Math.floor(from / step) * step;
}

/**
 * @param {readonly Answer[]} answers
 * @param {import('./selection.js').Selection} selection
 * @param {(bucket: number, widthSeconds: number) => boolean} isWhole
 * @returns {Promise<Series[]>}
 */
async function seriesOf(answers, selection, isWhole) {
  const wanted = new Set(selection.names);
  /** @type {import('./columns.js').Metric[]} */
  const metrics = (await Promise.all(answers.map(({ response }) => response.json()))).flat();
  const unique = new Map(
    metrics.filter(({ name }) => selection.isWhole || wanted.has(name)).map((metric) => [metric.name, metric]),
  );
  const inOrder = [...unique.values()].toSorted((a, b) => compareNames(a.name, b.name));
  return inOrder.slice(0, seriesMax).map((metric) => toSeries(metric, isWhole));
}

/** @param {readonly Series[]} series */
function rangeOf(series) {
  const ends = series.flatMap(({ times }) => [times[0] ?? 0, times.at(-1) ?? 0]);
  return ends.length === 0 ? { from: 0, to: 1 } : { from: Math.min(...ends), to: Math.max(...ends) };
}
