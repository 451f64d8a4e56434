/**
 * Which charts there are to be, and which lines in each.
 *
 * Counts and sums are of another size than the values that they count, so they have charts of their own: a second axis in
 * one chart is misread more often than not.
 *
 * @typedef {import('./columns.js').Series} Series
 * @typedef {import('./columns.js').Line} Line
 * @typedef {import('./page-state.js').PageState} PageState
 * @typedef {import('./page-state.js').Shown} Shown
 *
 * @typedef {Line & { label: string, cut: number, look: number, role: 'line' | 'top' | 'bottom', bounds: ReadonlySet<number> }}
 *   PlannedLine The bottom of a band comes right after its top. `cut`: where the label may be cut. `bounds`: the times at which
 *   the line is an upper bound only.
 *
 * @typedef {object} ChartPlan
 * @property {string} key The same for the same chart, whatever its data.
 * @property {string} title
 * @property {number} cut Where the title may be cut.
 * @property {string} kind What of it is shown, where the title does not say.
 * @property {string | null} units
 * @property {readonly PlannedLine[]} lines
 * @property {boolean} ofMetrics True: each line is a metric, and its label the name.
 */
import { cutsOf } from './metric-titles.js';

/** What each statistic is called. @type {Readonly<Record<Shown, string>>} */
export const labels = {
  band: 'min–max',
  mean: 'mean',
  median: 'median',
  perc95: 'p95',
  perc99: 'p99',
  last: 'last',
  count: 'count',
  sum: 'sum',
};

/** The colour of each statistic in the chart of one metric. @type {Readonly<Record<Shown, number>>} */
const looks = { mean: 0, perc95: 1, perc99: 3, median: 2, last: 4, band: 5, count: 0, sum: 0 };

/**
 * @param {readonly Series[]} series
 * @param {Pick<PageState, 'statistics' | 'layout'>} state
 * @returns {ChartPlan[]}
 */
export function planCharts(series, { statistics, layout }) {
  const cutOf = cutsOf(series.map(({ name }) => name));
  if (layout === 'overlaid') return statistics.map((statistic) => overlay(series, statistic, cutOf));
  return series.flatMap((one) => groupsOf(statistics).map((group) => single(one, group, cutOf(one.name))));
}

/**
 * Whether a chart has the whole width: those of many lines do, and one that is alone.
 *
 * @param {number} metrics How many.
 * @param {Pick<PageState, 'statistics' | 'layout'>} state
 */
export function isWide(metrics, { statistics, layout }) {
  return layout === 'overlaid' || metrics * groupsOf(statistics).length === 1;
}

/** What goes into one chart of a metric. @param {readonly Shown[]} statistics */
function groupsOf(statistics) {
  const ofValues = statistics.filter((statistic) => statistic !== 'count' && statistic !== 'sum');
  const groups = [
    ofValues,
    .../** @type {const} */ (['count', 'sum']).map((own) => statistics.filter((s) => s === own)),
  ];
  return groups.filter((group) => group.length > 0);
}

/** @param {Series} series @param {readonly Shown[]} statistics @param {number} cut @returns {ChartPlan} */
function single(series, statistics, cut) {
  const [first] = statistics;
  return {
    key: `${first === 'count' || first === 'sum' ? first : 'values'} ${series.name}`,
    title: series.name,
    cut,
    kind: first === 'count' || first === 'sum' ? labels[first] : '',
    units: first === 'count' ? null : series.units,
    lines: statistics.flatMap((statistic) =>
      linesOf(series, statistic, { label: labels[statistic], cut: 0, look: looks[statistic] }),
    ),
    ofMetrics: false,
  };
}

/** @param {readonly Series[]} all @param {Shown} statistic @param {(name: string) => number} cutOf @returns {ChartPlan} */
function overlay(all, statistic, cutOf) {
  const units = new Set(all.map((series) => series.units));
  return {
    key: `overlay ${statistic}`,
    title: labels[statistic],
    cut: 0,
    kind: all.length === 1 ? '1 metric' : `${all.length} metrics`,
    // Where they differ there is nothing to write beside the axis; the legend tells.
    units: statistic !== 'count' && units.size === 1 ? (all[0]?.units ?? null) : null,
    lines: all.flatMap((series, place) =>
      linesOf(series, statistic, { label: series.name, cut: cutOf(series.name), look: place }),
    ),
    ofMetrics: true,
  };
}

/** @param {Series} series @param {Shown} statistic @param {Pick<PlannedLine, 'label' | 'cut' | 'look'>} shown @returns {PlannedLine[]} */
function linesOf({ times, values, bounds }, statistic, shown) {
  if (statistic !== 'band') {
    const own = statistic === 'median' || statistic === 'perc95' || statistic === 'perc99' ? bounds[statistic] : none;
    return [{ times, values: values[statistic], ...shown, role: 'line', bounds: own }];
  }
  return [
    { times, values: values.max, ...shown, role: 'top', bounds: none },
    { times, values: values.min, ...shown, role: 'bottom', bounds: none },
  ];
}

/** @type {ReadonlySet<number>} */
const none = new Set();
