/**
 * From the answer of `GET /metrics` to what uPlot draws: one column of times for all lines of a chart, and a column of values
 * for each line.
 *
 * A line is broken where its metric fell silent: where two of its points are much farther apart than its points usually
 * are. A time at which only other lines have a point does not break it (`undefined` to uPlot, where `null` is a gap).
 *
 * @typedef {import('./page-state.js').Shown} Shown
 *
 * @typedef {{ readonly bucket: number, readonly value: number | null, readonly accuracy?: string }} Entry
 * @typedef {'count' | 'mean' | 'median' | 'min' | 'max' | 'perc95' | 'perc99' | 'last'} Statistic
 * @typedef {{ readonly name: string, readonly units?: string | null } & Readonly<Record<Statistic, readonly Entry[]>>} Metric
 *
 * @typedef {readonly (number | null)[]} Values
 * @typedef {object} Series
 * @property {string} name
 * @property {string | null} units
 * @property {readonly number[]} times Unix seconds.
 * @property {number} widthSeconds Of the buckets in which its points came, as far as they tell; 0: they do not.
 * @property {Readonly<Record<Statistic | 'sum', Values>>} values
 * @property {Readonly<Record<'median' | 'perc95' | 'perc99', ReadonlySet<number>>>} bounds The times at which a value is an upper bound only.
 *
 * @typedef {object} Line
 * @property {readonly number[]} times
 * @property {Values} values
 */

/** So many times the usual distance is a silence. */
const silence = 2.5;

/**
 * The columns of one metric; `sum` is that of all values, mean × count. Of a bucket that is not whole, count and sum are left out:
 * they would look like a rise or a fall.
 *
 * @param {Metric} metric
 * @param {(bucket: number, widthSeconds: number) => boolean} isWhole
 * @returns {Series}
 */
export function toSeries({ name, units = null, ...statistics }, isWhole = () => true) {
  const columnOf = (/** @type {Statistic} */ statistic) => statistics[statistic].map(({ value }) => value);
  const boundsOf = (/** @type {Statistic} */ statistic) =>
    new Set(statistics[statistic].flatMap(({ bucket, accuracy }) => (accuracy === 'upper_bound' ? [bucket] : [])));
  const times = statistics.count.map(({ bucket }) => bucket);
  const widthSeconds = widthOf(times);
  const count = statistics.count.map(({ bucket, value }) => (isWhole(bucket, widthSeconds) ? value : null));
  const mean = columnOf('mean');
  const sum = mean.map((value, index) => {
    const many = count[index] ?? null;
    return value === null || many === null ? null : value * many;
  });
  return {
    name,
    units,
    times,
    widthSeconds,
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
    bounds: { median: boundsOf('median'), perc95: boundsOf('perc95'), perc99: boundsOf('perc99') },
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
  const usual = Math.max(stepSeconds, distanceOf(times));
  /** @type {Map<number, number | null>} */
  const points = new Map();
  times.forEach((time, index) => {
    const before = times[index - 1];
    if (before !== undefined && time - before > silence * usual) points.set(before + usual, null);
    points.set(time, values[index] ?? null);
  });
  return points;
}

/** How far points usually are apart: the median. @param {readonly number[]} times */
function distanceOf(times) {
  const distances = times.slice(1).map((time, index) => time - (times[index] ?? time));
  return distances.sort((a, b) => a - b)[distances.length >> 1] ?? 0;
}

/**
 * Buckets begin at multiples of their width, and few are left out. Single values that come every ten minutes begin anywhere:
 * the last of those is whole at once.
 *
 * @param {readonly number[]} times
 */
function widthOf(times) {
  return Math.min(distanceOf(times), times.reduce(commonDivisor, 0));
}

/** @param {number} a @param {number} b @returns {number} */
function commonDivisor(a, b) {
  return b === 0 ? a : commonDivisor(b, a % b);
}
