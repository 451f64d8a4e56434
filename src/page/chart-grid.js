import { createChart } from './chart.js';

/**
 * @typedef {import('./chart.js').Chart} Chart
 * @typedef {import('./chart-plans.js').ChartPlan} ChartPlan
 * @typedef {import('./plot-options.js').View} View
 */

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
    /** The width that a plot has, or would have. */
    width: () => grid.querySelector('.plot')?.clientWidth ?? Math.min(grid.clientWidth, 640),
    /** @param {readonly ChartPlan[]} plans @param {View} view */
    show(plans, view) {
      const next = new Map(plans.map((plan) => [plan.key, renew(plan, view)]));
      for (const [key, chart] of charts) if (!next.has(key)) chart.remove();
      charts = next;
      grid.classList.toggle('wide', plans.some(({ ofMetrics }) => ofMetrics) || plans.length === 1);
      let place = grid.firstElementChild;
      for (const { element } of next.values()) {
        if (element !== place) grid.insertBefore(element, place);
        else place = place.nextElementSibling;
      }
      fitAll();
    },
  };
}
