/**
 * The page of charts.
 *
 * 1. The address says what is to be shown; every change goes into the address first, so the back button undoes it.
 * 2. The names that match are looked up, then the metrics that are picked are read, in as few requests as their patterns fit
 *    into.
 * 3. While the range ends now and the tab is seen, 2 is repeated.
 */

import { createChartGrid } from './chart-grid.js';
import { isWide, planCharts } from './chart-plans.js';
import { createControls } from './controls.js';
import { find, setText } from './elements.js';
import { createTimeFormat } from './format.js';
import { createMessages } from './messages.js';
import { createNamesList } from './names-list.js';
import { formatState, parseState } from './page-state.js';
import { createReader } from './reader.js';
import { isUnasked } from './selection.js';
import { createService, ServiceError } from './service.js';
import { createShare } from './share.js';
import { changeRange, formatBound, parseBound } from './time-range.js';
import { askForToken } from './token-dialog.js';
import { describeShown, showEmpty } from './what-is-shown.js';
import { createZoneClock } from './zone-clock.js';

/**
 * @typedef {import('./page-state.js').PageState} PageState
 * @typedef {import('./reader.js').Shown} Shown
 */

const service = createService(askForToken);
const messages = createMessages();
const main = find('main', HTMLElement);
const darkness = matchMedia('(prefers-color-scheme: dark)');

let state = parseState(location.search);
let isTyping = false;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let refresh;
/** @type {AbortController | undefined} */
let reading;
/** @type {Shown | undefined} */
let shown;

const grid = createChartGrid(find('charts', HTMLElement), {
  zoom: (range) => change(textOf(range)),
  pick: (name) => change({ names: [name] }),
});
const list = createNamesList(find('names', HTMLElement), (names) => change({ names }));
const controls = createControls({ change, move });
const share = createShare(service, tellError, messages.missing);
const reader = createReader(service, (metrics) => grid.width(isWide(metrics, state)));

/** @param {Partial<PageState>} part @param {boolean} isTypingNow */
function change(part, isTypingNow = false) {
  const query = formatState({ ...state, ...part });
  const address = `${location.pathname}${query}`;
  if (query !== formatState(state)) {
    // A pattern that is typed letter by letter is one step back.
    if (isTyping && isTypingNow) history.replaceState(null, '', address);
    else history.pushState(null, '', address);
  }
  isTyping = isTypingNow;
  // As it is to whoever comes by the address: what is of no use in it is not kept either.
  state = parseState(query);
  show();
}

/** @param {{ by?: number, zoom?: number }} how */
function move(how) {
  const now = service.now();
  const [from, to] = [parseBound(state.from, now), parseBound(state.to, now)];
  if (from === undefined || to === undefined) return;
  // What ends now goes on to do so when it is made wider or narrower.
  if (state.to === 'now' && how.zoom) return change({ from: `-${Math.max(1, Math.round((to - from) * how.zoom))}s` });
  const range = changeRange({ from, to }, how);
  // Nothing is there yet after now.
  change(textOf(how.zoom ? { ...range, to: Math.min(range.to, now) } : range));
}

/** @param {{ from: number, to: number }} range @returns {{ from: string, to: string }} */
function textOf({ from, to }) {
  return { from: formatBound(from), to: formatBound(Math.max(to, from + 1)) };
}

function show() {
  controls.show(state);
  read();
}

async function read() {
  clearTimeout(refresh);
  reading?.abort();
  reading = new AbortController();
  const { signal } = reading;
  main.setAttribute('aria-busy', 'true');
  try {
    shown = await reader.read(state, signal);
    if (!signal.aborted) draw(shown);
  } catch (error) {
    if (!signal.aborted) tellError(error);
  }
  if (signal.aborted) return;
  main.setAttribute('aria-busy', 'false');
  refreshLater();
}

/** @param {Shown} now */
function draw(now) {
  const { found, picked, series, range, resolution, stepSeconds, queries } = now;
  messages.problem('');
  find('change-token', HTMLElement).hidden = true;
  messages.patternProblem(now.patternProblem);
  messages.missing(now.completeness);
  list.show({ found: found.names, picked: isUnasked(state, found) ? [] : picked, now: service.now() });
  setText(find('names-count', HTMLElement), countOf(now));
  const clock = createZoneClock(state.timezone);
  const view = { ...range, stepSeconds, times: createTimeFormat(state.timezone), clock, theme: themeNow() };
  grid.show(planCharts(series, state), isWide(series.length, state), view);
  showEmpty(now, state, { messages, change, service });
  const { summary, note } = describeShown(
    { ...now, resolution: spacingOf(now) },
    state,
    view.times.whole(service.now()).slice(11),
    refreshMs(now),
  );
  messages.summary(summary);
  messages.note(note);
  share.show(
    series.length === 0 ? undefined : { state, range, resolution, queries, names: series.map(({ name }) => name) },
  );
}

/** How far points are apart: as they are read, or as they came where that is farther. @param {Shown} now */
function spacingOf({ series, resolution, stepSeconds }) {
  const width = Math.min(...series.map(({ widthSeconds }) => widthSeconds));
  if (series.length === 0 || width <= stepSeconds) return resolution;
  return width % 60 === 0 ? `${width / 60}m` : `${width}s`;
}

/** @param {Shown} now */
function countOf({ found, patternProblem }) {
  if (found.names.length === 0) return 'none';
  if (patternProblem !== '') return `${found.names.length}, from before`;
  return found.more ? `the first ${found.names.length}` : `${found.names.length}`;
}

/** @returns {'light' | 'dark'} */
function themeNow() {
  return darkness.matches ? 'dark' : 'light';
}

/** @param {unknown} error */
function tellError(error) {
  messages.problem(
    `${error instanceof Error ? error.message : error}${shown?.series.length ? '. What is shown is from before.' : ''}`,
  );
  // What was said of the answer before is not said of this one.
  messages.missing({ complete: true, outcomes: [] });
  messages.note('');
  find('change-token', HTMLElement).hidden = !isAboutToken(error);
}

/** Who gives no token, or the wrong one, is not asked again and again, but when they want to. */
function isBarred() {
  return !find('change-token', HTMLElement).hidden;
}

/** @param {unknown} error */
function isAboutToken(error) {
  return error instanceof ServiceError && (error.status === 401 || error.status === 403);
}

/** How long until the next look: of wide buckets little changes soon. 0: never. @param {Shown | undefined} now */
function refreshMs(now) {
  if (state.to !== 'now') return 0;
  return (now?.stepSeconds ?? 0) >= 3_600 ? 60_000 : (now?.stepSeconds ?? 0) >= 300 ? 15_000 : 5_000;
}

function refreshLater() {
  const ms = refreshMs(shown);
  clearTimeout(refresh);
  if (ms > 0 && document.visibilityState === 'visible' && !isBarred()) refresh = setTimeout(read, ms);
}

addEventListener('popstate', () => {
  state = parseState(location.search);
  isTyping = false;
  show();
});
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible' && refreshMs(shown) > 0 && !isBarred()) read();
  else clearTimeout(refresh);
});
darkness.addEventListener('change', () => {
  if (shown) draw(shown);
});
find('change-token', HTMLButtonElement).addEventListener('click', () => {
  service.forgetToken();
  read();
});
// Who comes without a link begins by typing.
if (location.search === '') find('match', HTMLInputElement).focus({ preventScroll: true });
show();
