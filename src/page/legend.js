import { make, setText } from './elements.js';
import { makeTitle } from './metric-titles.js';
import { lookOf } from './palette.js';

/**
 * @typedef {import('./chart-plans.js').ChartPlan} ChartPlan
 *
 * @typedef {object} Reading
 * @property {string} text
 * @property {boolean} isBound The value is not known: it is at most this.
 *
 * @typedef {object} Legend
 * @property {HTMLElement} element
 * @property {(readings: readonly Reading[]) => void} show The values of the lines, in their order.
 */

/** What is told of a value that is an upper bound only. */
export const whyBound = 'An upper bound: not all summaries carry a sketch, so the greatest of their values is shown.';

/**
 * The lines of a chart: how each looks, what it is, what it says. Where each is a metric, it can be pointed at and picked.
 *
 * @param {ChartPlan} plan
 * @param {'light' | 'dark'} theme
 * @param {object} on
 * @param {(line: number | null) => void} on.point
 * @param {(name: string) => void} on.pick
 * @returns {Legend}
 */
export function createLegend(plan, theme, on) {
  // A band is one thing, and has one place.
  const entries = plan.lines.map((line, index) => ({ line, index })).filter(({ line }) => line.role !== 'bottom');
  const values = entries.map(() => make('span', { class: 'value' }, '–'));
  const items = entries.map(({ line, index }, place) => {
    const value = values[place] ?? '';
    if (!plan.ofMetrics)
      return make('li', {}, swatchOf(line.look, theme), make('span', { class: 'label' }, line.label), value);
    const title = `Show only ${line.label}`;
    const attributes = { type: 'button', class: 'label', title, 'aria-label': line.label };
    const button = make('button', attributes, makeTitle(line.label, line.cut));
    button.addEventListener('click', () => on.pick(line.label));
    const item = make('li', {}, swatchOf(line.look, theme), button, value);
    for (const type of ['mouseenter', 'focusin']) item.addEventListener(type, () => on.point(index));
    for (const type of ['mouseleave', 'focusout']) item.addEventListener(type, () => on.point(null));
    return item;
  });
  return {
    element: make('ul', { class: plan.ofMetrics ? 'legend metrics' : 'legend' }, ...items),
    show(readings) {
      entries.forEach(({ line, index }, place) => {
        const { text, isBound } = readings[index] ?? { text: '–', isBound: false };
        const value = values[place];
        if (!value) return;
        const said = line.role === 'top' ? `${readings[index + 1]?.text} – ${text}` : text;
        setText(value, isBound ? `at most ${said}` : said);
        value.title = isBound ? whyBound : '';
      });
    },
  };
}

/** @param {number} look @param {'light' | 'dark'} theme */
function swatchOf(look, theme) {
  const { colour, dash } = lookOf(look, theme);
  const namespace = 'http://www.w3.org/2000/svg';
  const picture = document.createElementNS(namespace, 'svg');
  const line = document.createElementNS(namespace, 'line');
  const attributes = {
    x1: '0',
    y1: '5',
    x2: '28',
    y2: '5',
    stroke: colour,
    'stroke-width': '3',
    'stroke-dasharray': dash.join(' '),
  };
  for (const [name, value] of Object.entries(attributes)) line.setAttribute(name, value);
  for (const [name, value] of Object.entries({ viewBox: '0 0 28 10', 'aria-hidden': 'true' }))
    picture.setAttribute(name, value);
  picture.append(line);
  return picture;
}
