import { make, setText } from './elements.js';
import { formatDuration } from './format.js';
import { compareNames } from './metric-titles.js';

/**
 * @typedef {{ readonly name: string, readonly units: string | null, readonly first: number, readonly last: number }} NamedSpan
 *
 * @typedef {object} Listed
 * @property {readonly NamedSpan[]} found
 * @property {readonly string[] | null} picked Null: all that are found.
 * @property {number} now Unix seconds.
 */

/**
 * The names that match, each with a box to pick it. What was picked and does not match stays in the list, at its head.
 *
 * @param {HTMLElement} list
 * @param {(names: readonly string[]) => void} onPick All that are picked now.
 */
export function createNamesList(list, onPick) {
  /** @type {readonly string[]} */
  let shown = [];

  list.addEventListener('change', () => {
    const boxes = [...list.querySelectorAll('input')];
    onPick(boxes.filter(({ checked }) => checked).map(({ value }) => value));
  });

  /** @param {string} name */
  const makeItem = (name) =>
    make(
      'li',
      {},
      make(
        'label',
        {},
        make('input', { type: 'checkbox', value: name }),
        make('span', { class: 'name' }, name),
        make('small'),
      ),
    );

  return {
    /** @param {Listed} listed */
    show({ found, picked, now }) {
      const spans = new Map(found.map((span) => [span.name, span]));
      const names = [...(picked ?? []).filter((name) => !spans.has(name)).toSorted(compareNames), ...spans.keys()];
      // The boxes stay where nothing has changed: one of them may have the focus.
      if (names.join('\0') !== shown.join('\0')) list.replaceChildren(...names.map(makeItem));
      shown = names;
      const isPicked = new Set(picked ?? names);
      for (const item of list.children) {
        const [box, age] = [item.querySelector('input'), item.querySelector('small')];
        if (!box || !age) continue;
        box.checked = isPicked.has(box.value);
        setText(age, ageOf(spans.get(box.value), now));
      }
    },
  };
}

/** Of a name that has fallen silent, for how long. @param {NamedSpan | undefined} span @param {number} now */
function ageOf(span, now) {
  const silentSeconds = span ? now - span.last : 0;
  return silentSeconds > 600 ? `${formatDuration(silentSeconds)} ago` : '';
}
