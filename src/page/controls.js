import { labels } from './chart-plans.js';
import { find, make, makeButton } from './elements.js';
import { shownNames } from './page-state.js';
import { parseRange, resolutionChoices, showBound } from './time-range.js';

/**
 * @typedef {import('./page-state.js').PageState} PageState
 *
 * @typedef {object} ControlActions
 * @property {(change: Partial<PageState>, isTyping?: boolean) => void} change
 * @property {(change: { by?: number, zoom?: number }) => void} move The range, by a part of its width.
 */

/** Ranges for one click. */
const presets = ['15m', '1h', '6h', '24h', '7d', '30d'];

/** A pattern is looked up when the typing pauses for so long. */
const typingMs = 150;

/**
 * What the person can set.
 *
 * @param {ControlActions} actions
 */
export function createControls(actions) {
  const match = bindMatch(actions);
  const range = bindRange(actions);
  const resolution = bindSelect('resolution', resolutionChoices, (chosen) => actions.change({ resolution: chosen }));
  // Those that are wanted most come first.
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zones = [...new Set(['UTC', own, ...Intl.supportedValuesOf('timeZone')])];
  const timezone = bindSelect('timezone', zones, (chosen) => actions.change({ timezone: chosen }));
  const statistics = bindStatistics(actions);
  const layouts = [...document.querySelectorAll('input[name=layout]')].filter(
    (input) => input instanceof HTMLInputElement,
  );
  for (const input of layouts) {
    input.addEventListener('change', () =>
      actions.change({ layout: input.value === 'overlaid' ? 'overlaid' : 'each' }),
    );
  }
  bindFold();
  find('pick-all', HTMLButtonElement).addEventListener('click', () => actions.change({ names: null, many: true }));
  find('pick-none', HTMLButtonElement).addEventListener('click', () => actions.change({ names: [] }));

  return {
    /** @param {PageState} state */
    show(state) {
      // Not under the fingers of who is typing.
      if (document.activeElement !== match || match.value.trim() !== state.match) match.value = state.match;
      range.show(state);
      resolution.show(state.resolution);
      timezone.show(state.timezone);
      for (const box of statistics) box.checked = state.statistics.some((name) => name === box.value);
      for (const input of layouts) input.checked = input.value === state.layout;
    },
  };
}

/** On a phone the charts come first, and what else can be set waits behind a word. */
function bindFold() {
  const fold = find('more', HTMLDetailsElement);
  const narrow = matchMedia('(max-width: 46rem)');
  const unfold = () => {
    fold.open = !narrow.matches;
  };
  narrow.addEventListener('change', unfold);
  unfold();
}

/** @param {ControlActions} actions */
function bindMatch(actions) {
  const match = find('match', HTMLInputElement);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let pause;
  const look = () => {
    clearTimeout(pause);
    actions.change({ match: match.value.trim(), names: null }, true);
  };
  match.addEventListener('input', () => {
    clearTimeout(pause);
    pause = setTimeout(look, typingMs);
  });
  find('find', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    look();
  });
  return match;
}

/** @param {ControlActions} actions */
function bindRange(actions) {
  const input = find('range', HTMLInputElement);
  const problem = find('range-problem', HTMLElement);
  let zone = 'UTC';
  const buttons = presets.map((preset) =>
    makeButton(preset, () => actions.change({ from: `-${preset}`, to: 'now' }), {
      'aria-pressed': 'false',
      'data-from': `-${preset}`,
    }),
  );
  find('presets', HTMLElement).append(...buttons);
  find('range-form', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    const range = parseRange(input.value, zone);
    problem.hidden = range !== undefined;
    problem.textContent = 'Expected one bound, such as -6h, or two: -2d -1d, or 2030-01-31 05:12 now';
    if (range) actions.change(range);
  });
  /** @type {readonly (readonly [string, { by?: number, zoom?: number }])[]} */
  const moves = [
    ['earlier', { by: -0.5 }],
    ['later', { by: 0.5 }],
    ['zoom-in', { zoom: 0.5 }],
    ['zoom-out', { zoom: 2 }],
  ];
  for (const [id, move] of moves) find(id, HTMLButtonElement).addEventListener('click', () => actions.move(move));

  return {
    /** @param {PageState} state */
    show({ from, to, timezone }) {
      zone = timezone;
      const bounds = to === 'now' ? [from] : [from, to];
      input.value = bounds.map((bound) => showBound(bound, zone)).join(' ');
      // Two instants with their offsets have room; what is longer is no range. Capitals and plus signs are wider than digits.
      input.size = Math.min(Math.max(Math.ceil(input.value.length * 1.12), 22), 60);
      problem.hidden = true;
      for (const button of buttons) {
        button.setAttribute('aria-pressed', String(to === 'now' && button.dataset.from === from));
      }
    },
  };
}

/**
 * @param {string} id
 * @param {readonly string[]} choices
 * @param {(chosen: string) => void} onChange
 */
function bindSelect(id, choices, onChange) {
  const select = find(id, HTMLSelectElement);
  const add = (/** @type {string} */ choice) => select.append(make('option', { value: choice }, choice));
  choices.forEach(add);
  select.addEventListener('change', () => onChange(select.value));
  return {
    /** @param {string} choice One of a link may be none of ours. */
    show(choice) {
      if (![...select.options].some(({ value }) => value === choice)) add(choice);
      select.value = choice;
    },
  };
}

/** @param {ControlActions} actions */
function bindStatistics(actions) {
  const boxes = shownNames.map((name) => make('input', { type: 'checkbox', value: name }));
  find('statistics', HTMLElement).append(
    ...boxes.map((box, index) => make('label', {}, box, labels[shownNames[index] ?? 'mean'])),
  );
  for (const box of boxes) {
    box.addEventListener('change', () => {
      // One stays: a chart of nothing tells nothing.
      if (boxes.every(({ checked }) => !checked)) box.checked = true;
      const checked = new Set(boxes.filter((one) => one.checked).map(({ value }) => value));
      actions.change({ statistics: shownNames.filter((name) => checked.has(name)) });
    });
  }
  return boxes;
}
