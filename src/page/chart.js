import { align } from './columns.js';
import { make, setText } from './elements.js';
import { formatNumber } from './format.js';
import { createLegend, whyBound } from './legend.js';
import { makeTitle } from './metric-titles.js';
import { heightOf, plotOptions } from './plot-options.js';
import { takeTouch } from './touch.js';

/**
 * @typedef {import('./chart-plans.js').ChartPlan} ChartPlan
 * @typedef {import('./plot-options.js').View} View
 *
 * @typedef {object} ChartActions
 * @property {(range: { from: number, to: number }) => void} zoom Unix seconds.
 * @property {(name: string) => void} pick
 *
 * @typedef {object} Chart
 * @property {HTMLElement} element
 * @property {(plan: ChartPlan, view: View) => boolean} update False: it cannot become this; a new one is needed.
 * @property {() => void} fit To the width that it has now.
 * @property {() => void} remove
 */

/** Characters of a title that has room beside what is read. */
const titleMax = 24;

/**
 * A chart with its legend. Its values are read by pointing at it or, when it has the focus, by the arrow keys.
 *
 * @param {ChartPlan} firstPlan
 * @param {View} firstView
 * @param {ChartActions} actions
 * @returns {Chart}
 */
export function createChart(firstPlan, firstView, actions) {
  let [plan, view] = [firstPlan, firstView];
  let isByKeyboard = false;
  const reading = make('time', { class: 'reading' });
  const spoken = make('p', { class: 'unseen', 'aria-live': 'polite' });
  const note = make('p', { class: 'bounds', title: whyBound });
  const holder = make('div', { class: 'plot', tabindex: '0', role: 'group' });
  const legend = createLegend(plan, view.theme, {
    point: (line) => plot.setSeries(line === null ? null : line + 1, { focus: true }),
    pick: actions.pick,
  });
  const element = make('figure', { class: 'chart' }, makeCaption(plan, reading), holder, legend.element, note, spoken);
  holder.setAttribute('aria-label', `${plan.title} ${plan.kind}: the arrow keys read its values`);

  /** @param {uPlot} shown */
  const read = (shown) => {
    const index = shown.cursor.idx ?? undefined;
    legend.show(plan.lines.map((_, line) => readingAt(plan, shown, line, index)));
    const at = index === undefined ? undefined : shown.data[0][index];
    const time = at === undefined ? latestOf(shown, view) : view.times.precise(at);
    setText(reading, time);
    setText(note, plan.lines.some((line) => line.bounds.size > 0) ? 'Dashed: an upper bound' : '');
    if (isByKeyboard) setText(spoken, `${time}: ${legend.element.innerText}`);
  };

  const bounds = (/** @type {number} */ line) => plan.lines[line]?.bounds ?? new Set();
  const on = { cursor: read, zoom: actions.zoom, leave: leaveWith(element), bounds };
  const plot = new uPlot(
    plotOptions(plan, () => view, on, 320),
    align(plan.lines, view.stepSeconds),
    holder,
  );
  takeTouch(plot);
  read(plot);

  holder.addEventListener('keydown', (event) => {
    isByKeyboard = true;
    if (moveCursor(plot, event.key)) event.preventDefault();
  });
  holder.addEventListener('pointermove', () => {
    isByKeyboard = false;
  });

  return {
    element,
    update(nextPlan, nextView) {
      if (!isSameForm(plan, nextPlan) || nextView.theme !== view.theme || nextView.times.zone !== view.times.zone)
        return false;
      // Where nobody points at a place, it is the instant that stays.
      const held = document.querySelector('.u-over:hover') ? undefined : plot.data[0][plot.cursor.idx ?? -1];
      [plan, view] = [nextPlan, nextView];
      plot.batch(() => plot.setData(align(plan.lines, view.stepSeconds)));
      if (held !== undefined) plot.setCursor({ left: plot.valToPos(held, 'x'), top: plot.cursor.top ?? 0 });
      read(plot);
      return true;
    },
    fit() {
      const width = holder.clientWidth;
      if (width > 0 && width !== plot.width) plot.setSize({ width, height: heightOf(plan) });
    },
    remove() {
      plot.destroy();
      element.remove();
    },
  };
}

/**
 * What is read stays while the pointer is anywhere in the chart: a long legend must be scrolled to be read.
 *
 * @param {HTMLElement} chart
 * @returns {uPlot.Cursor.MouseListenerFactory}
 */
function leaveWith(chart) {
  return (_plot, _over, leave) => {
    chart.addEventListener('mouseleave', (event) => event.buttons === 0 && leave(event));
    // A drag ends at the edge of the plot.
    return (event) => (event.buttons === 0 ? null : leave(event));
  };
}

/** @param {ChartPlan} plan @param {Node} reading */
function makeCaption(plan, reading) {
  const { title, cut } = plan;
  // Without a label its parts would be read as two words.
  const heading = make('h3', { title, 'aria-label': title }, makeTitle(title, cut));
  const kind = make('span', { class: 'kind' }, kindOf(plan));
  return make('figcaption', title.length > titleMax ? { class: 'long' } : {}, heading, kind, reading);
}

/** @param {ChartPlan} plan */
function kindOf({ kind, units }) {
  return [kind, units].filter(Boolean).join(' · ');
}

/** @param {ChartPlan} a @param {ChartPlan} b */
function isSameForm(a, b) {
  const formOf = (/** @type {ChartPlan} */ { kind, units, cut, lines }) =>
    JSON.stringify([kind, units, cut, lines.map((line) => [line.label, line.cut, line.look, line.role])]);
  return formOf(a) === formOf(b);
}

/**
 * What a line says at a time or, where no time is pointed at, at its last.
 *
 * @param {ChartPlan} plan
 * @param {uPlot} plot
 * @param {number} line
 * @param {number | undefined} index
 * @returns {import('./legend.js').Reading}
 */
function readingAt(plan, plot, line, index) {
  const [times, values] = [plot.data[0], plot.data[line + 1] ?? []];
  const place = index ?? Array.from(values).findLastIndex((value) => typeof value === 'number');
  const value = values[place];
  return { text: valueText(plan, value), isBound: plan.lines[line]?.bounds.has(times[place] ?? -1) ?? false };
}

/** Of what time the last values are, where it is the same of all lines. @param {uPlot} plot @param {View} view */
function latestOf(plot, view) {
  const [times, ...lines] = plot.data;
  const ends = new Set(lines.map((values) => Array.from(values).findLastIndex((value) => typeof value === 'number')));
  const [end = -1] = ends;
  const time = times[end];
  if (ends.size > 1) return 'latest of each';
  return time === undefined ? '' : `latest: ${view.times.precise(time)}`;
}

/** @param {ChartPlan} plan @param {number | null | undefined} value */
function valueText({ units }, value) {
  const text = formatNumber(value);
  return units && text !== '–' ? `${text} ${units}` : text;
}

/** @param {uPlot} plot @param {string} key @returns {boolean} Whether the key means anything here. */
function moveCursor(plot, key) {
  const times = plot.data[0];
  // The first day may begin before the range.
  const first = times.findIndex((time) => time >= (plot.scales.x?.min ?? 0));
  const last = times.length - 1;
  const now = plot.cursor.idx ?? (key === 'ArrowRight' ? first - 1 : last + 1);
  /** @type {Readonly<Record<string, number>>} */
  const targets = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: first, End: last, Escape: first };
  const target = targets[key];
  if (target === undefined || first < 0) return false;
  const index = Math.min(Math.max(target, first), last);
  const left = key === 'Escape' ? -10 : plot.valToPos(times[index] ?? 0, 'x');
  plot.setCursor({ left, top: key === 'Escape' ? -10 : 10 });
  return true;
}
