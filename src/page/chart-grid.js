import { createChart } from './chart.js';

/**
 * @typedef {import('./chart.js').Chart} Chart
 * @typedef {import('./chart-plans.js').ChartPlan} ChartPlan
 * @typedef {import('./plot-options.js').View} View
 */

/** The least width of a column and the gap between two; as in the style sheet. */
const [columnRem, gapRem] = [25, 0.75];

/**
 * Keeps charts as they are planned: those that stay are only given their new data, so that nothing flickers and the focus
 * stays where it is.
 *
 * @param {HTMLElement} grid
 * @param {import('./chart.js').ChartActions} actions
 */
export function createChartGrid(grid, actions) {
  /** @type {Map<string, Chart>} */
  let charts = new Map();
  const fitAll = () => {
    for (const chart of charts.values()) chart.fit();
  };
  new ResizeObserver(fitAll).observe(grid);

  /** @param {ChartPlan} plan @param {View} view */
  const renew = (plan, view) => {
    const old = charts.get(plan.key);
    if (old?.update(plan, view)) return old;
    old?.remove();
    return createChart(plan, view, actions);
  };

  return {
    /** The width that charts have or, before there are any, will have. @param {boolean} wide */
    width(wide) {
      const { documentElement: root } = document;
      const rem = Number.parseFloat(getComputedStyle(root).fontSize);
      // Charts may bring a scroll bar: its width belongs to the room, lest it be another one afterwards.
      const room = grid.clientWidth + Math.max(innerWidth - root.clientWidth, 0) + gapRem * rem;
      const columns = wide ? 1 : Math.max(1, Math.floor(room / ((columnRem + gapRem) * rem)));
      return room / columns - gapRem * rem;
    },
    /** @param {readonly ChartPlan[]} plans @param {boolean} wide @param {View} view */
    show(plans, wide, view) {
      const next = new Map(plans.map((plan) => [plan.key, renew(plan, view)]));
      for (const [key, chart] of charts) if (!next.has(key)) chart.remove();
      charts = next;
      grid.classList.toggle('wide', wide);
      let place = grid.firstElementChild;
      for (const { element } of next.values()) {
        if (element !== place) grid.insertBefore(element, place);
        else place = place.nextElementSibling;
      }
      fitAll();
    },
  };
}
