/**
 * What uPlot is told of a chart.
 *
 * @typedef {import('./chart-plans.js').ChartPlan} ChartPlan
 * @typedef {ReturnType<typeof import('./format.js').createTimeFormat>} TimeFormat
 *
 * @typedef {object} View What all charts have in common.
 * @property {number} from Unix seconds.
 * @property {number} to
 * @property {number} stepSeconds The width of a bucket.
 * @property {TimeFormat} times
 * @property {import('./zone-clock.js').ZoneClock} clock
 * @property {'light' | 'dark'} theme
 */
import { boundPath } from './bound-path.js';
import { formatTicks } from './format.js';
import { lookOf } from './palette.js';
import { timeTicks } from './time-ticks.js';

/**
 * The height of a plot in pixels: many lines need more room.
 *
 * @param {ChartPlan} plan
 */
export function heightOf({ ofMetrics }) {
  return ofMetrics ? 300 : 190;
}

/** Of more lines than this, dots on each point would hide one another. */
const dottedMax = 12;

/** A drag of fewer pixels than this is a click. */
const dragMin = 5;

/**
 * @param {ChartPlan} plan
 * @param {() => View} view As it is now.
 * @param {object} on
 * @param {(plot: uPlot) => void} on.cursor
 * @param {uPlot.Cursor.MouseListenerFactory} on.leave
 * @param {(range: { from: number, to: number }) => void} on.zoom
 * @param {(line: number) => ReadonlySet<number>} on.bounds The times at which a line is an upper bound, as it is now.
 * @param {number} width
 * @returns {uPlot.Options}
 */
export function plotOptions(plan, view, on, width) {
  return {
    width,
    height: heightOf(plan),
    // Half of the last time beside the axis stands to the right of the plot.
    padding: [10, 26, 0, 0],
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), view().times.zone),
    legend: { show: false },
    focus: { alpha: 0.15 },
    cursor: {
      // All charts show the same instant.
      sync: { key: 'm2pg', setSeries: false },
      drag: { x: true, y: false, setScale: false, dist: dragMin },
      focus: { prox: plan.ofMetrics ? 16 : -1 },
      bind: { mouseleave: on.leave },
      y: false,
      points: { size: 7 },
    },
    scales: {
      x: { time: true, range: () => [view().from, Math.max(view().to, view().from + 1)] },
      y: { range: rangeOfValues },
    },
    axes: [timeAxis(view), valueAxis(plan.units)],
    series: [
      {},
      ...plan.lines.map((line, index) => ({
        ...lineOptions(line, view().theme, plan.lines.length),
        paths: boundPath(() => on.bounds(index)),
      })),
    ],
    bands: bandsOf(plan, view().theme),
    hooks: {
      setCursor: [on.cursor],
      setSelect: [
        (plot) => {
          const { left, width: selected } = plot.select;
          if (selected < dragMin) return;
          const range = { from: plot.posToVal(left, 'x'), to: plot.posToVal(left + selected, 'x') };
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          on.zoom(range);
        },
      ],
    },
  };
}

/**
 * From zero, where the values allow it: a small change is not to look like a large one.
 *
 * @param {uPlot} _plot
 * @param {number | null} least
 * @param {number | null} greatest
 * @returns {[number, number]}
 */
function rangeOfValues(_plot, least, greatest) {
  if (least === null || greatest === null || !Number.isFinite(greatest - least)) return [0, 1];
  const size = Math.max(Math.abs(least), Math.abs(greatest));
  // What differs in the last digits only, which is no more than rounding, has an axis all the same.
  const pad = greatest === least ? size * 0.1 || 1 : Math.max((greatest - least) * 0.06, size * 1e-13);
  // Far from zero a chart from zero would be a straight line.
  const isFar = greatest - least <= size * 0.02;
  return [least >= 0 && !isFar ? 0 : least - pad, greatest <= 0 && !isFar ? 0 : greatest + pad];
}

/** @param {() => View} view @returns {uPlot.Axis} */
function timeAxis(view) {
  return {
    ...axisLook(),
    space: 76,
    size: 26,
    splits: (_plot, _axis, from, to, distance) => timeTicks(from, to, distance, view().clock),
    values: (_plot, splits) => {
      const distance = Math.min(...splits.slice(1).map((split, index) => split - (splits[index] ?? 0)));
      return splits.map((seconds) => view().times.tick(seconds, distance));
    },
  };
}

/** @param {string | null} units @returns {uPlot.Axis} */
function valueAxis(units) {
  return {
    ...axisLook(),
    // No digit of any font that it may come to is wider than 7 pixels.
    size: (_plot, labels) => Math.max(58, ...(labels ?? []).map((label) => 14 + 7 * label.length)),
    values: (_plot, splits, _axis, _space, distance) => formatTicks(splits, distance),
    ...(units && { label: units, labelSize: 18, labelFont: '11px system-ui, sans-serif' }),
  };
}

/** @returns {uPlot.Axis} */
function axisLook() {
  const style = getComputedStyle(document.documentElement);
  const [text, grid] = ['--muted', '--grid'].map((name) => style.getPropertyValue(name).trim());
  return {
    stroke: text ?? '',
    font: '11px system-ui, sans-serif',
    grid: { stroke: grid ?? '', width: 1 },
    ticks: { stroke: grid ?? '', width: 1, size: 4 },
  };
}

/** @param {import('./chart-plans.js').PlannedLine} line @param {'light' | 'dark'} theme @param {number} lines @returns {uPlot.Series} */
function lineOptions({ label, look, role }, theme, lines) {
  const { colour, dash } = lookOf(look, theme);
  const isEdge = role !== 'line';
  return {
    label,
    stroke: isEdge ? `${colour}66` : colour,
    width: isEdge ? 1 : lines > dottedMax ? 1.25 : 1.75,
    dash: [...dash],
    points: {
      size: 5,
      ...(isEdge && { show: false }),
      // A single point has no line to be seen by.
      ...(lines > dottedMax && { show: (_plot, _line, first, last) => last - first < 2 }),
    },
  };
}

/** @param {ChartPlan} plan @param {'light' | 'dark'} theme @returns {uPlot.Band[]} */
function bandsOf({ lines }, theme) {
  return lines.flatMap(({ role, look }, index) =>
    role === 'top' ? [{ series: [index + 1, index + 2], fill: `${lookOf(look, theme).colour}2b` }] : [],
  );
}
