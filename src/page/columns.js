/**
 * From the answer of `GET /metrics` to what uPlot draws: one column of times for all lines of a chart, and a column of values
 * for each line.
 *
 * A line is broken where its metric fell silent: where two of its points are much farther apart than its points usually
 * are. A time at which only other lines have a point does not break it (`undefined` to uPlot, where `null` is a gap).
 *
 * @typedef {import('./page-state.js').Shown} Shown
 *
 * @typedef {{ readonly bucket: number, readonly value: number | null }} Entry
 * @typedef {'count' | 'mean' | 'median' | 'min' | 'max' | 'perc95' | 'perc99' | 'last'} Statistic
 * @typedef {{ readonly name: string, readonly units?: string | null } & Readonly<Record<Statistic, readonly Entry[]>>} Metric
 *
 * @typedef {readonly (number | null)[]} Values
 * @typedef {object} Series
 * @property {string} name
 * @property {string | null} units
 * @property {readonly number[]} times Unix seconds.
 * @property {Readonly<Record<Statistic | 'sum', Values>>} values
 *
 * @typedef {object} Line
 * @property {readonly number[]} times
 * @property {Values} values
 */

/** So many times the usual distance is a silence. */
const silence = 2.5;

/**
 * The columns of one metric; `sum` is that of all values, mean × count. Of a bucket that the range or the time now cuts, count and
 * sum are left out: they would look like a fall.
 *
 * @param {Metric} metric
 * @param {number} wholeUntil The last instant at which a bucket may begin that is whole, in Unix seconds.
 * @returns {Series}
 */
export function toSeries({ name, units = null, ...statistics }, wholeUntil = Number.POSITIVE_INFINITY) {
  const columnOf = (/** @type {Statistic} */ statistic) => statistics[statistic].map(({ value }) => value);
  const count = statistics.count.map(({ bucket, value }) => (bucket > wholeUntil ? null : value));
  const mean = columnOf('mean');
  const sum = mean.map((value, index) => {
    const times = count[index] ?? null;
    return value === null || times === null ? null : value * times;
  });
  return {
    name,
    units,
    times: statistics.count.map(({ bucket }) => bucket),
    values: {
      count,
      sum,
      mean,
      median: columnOf('median'),
      min: columnOf('min'),
      max: columnOf('max'),
      perc95: columnOf('perc95'),
      perc99: columnOf('perc99'),
      last: columnOf('last'),
    },
  };
}

/**
 * The lines of a chart on one column of times.
 *
 * @param {readonly Line[]} lines
 * @param {number} stepSeconds The width of a bucket.
 * @returns {[number[], ...(number | null | undefined)[][]]}
 */
export function align(lines, stepSeconds) {
  const points = lines.map((line) => withGaps(line, stepSeconds));
  const times = [...new Set(points.flatMap((line) => [...line.keys()]))].sort((a, b) => a - b);
  return [times, ...points.map((line) => times.map((time) => line.get(time)))];
}

/**
 * @param {Line} line
 * @param {number} stepSeconds
 * @returns {Map<number, number | null>}
 */
function withGaps({ times, values }, stepSeconds) {
  const usual = Math.max(stepSeconds, medianOf(times.slice(1).map((time, index) => time - (times[index] ?? time))));
  /** @type {Map<number, number | null>} */
  const points = new Map();
  times.forEach((time, index) => {
    const before = times[index - 1];
    if (before !== undefined && time - before > silence * usual) points.set(before + usual, null);
    points.set(time, values[index] ?? null);
  });
  return points;
}

/** @param {readonly number[]} numbers */
function medianOf(numbers) {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;
}
