/**
 * The page that tells how the databases are, from `/-/status`, again and again while it is seen.
 */
import { find, make, setText } from './elements.js';
import { formatDuration, formatNumber } from './format.js';
import { createService, ServiceError } from './service.js';
import { askForToken } from './token-dialog.js';

/**
 * @typedef {object} DatabaseStatus
 * @property {string} name
 * @property {string} state
 * @property {string | null} since
 * @property {{ code: string, message: string, at: string } | null} lastFailure
 * @property {number | null} roundTripMs
 * @property {string | null} version
 * @property {string | null} tls
 * @property {boolean | null} pooler
 * @property {boolean | null} fsync
 * @property {number | null} clockOffsetMs
 * @property {boolean} caughtUp
 * @property {number} queue
 * @property {{ ok: number, failed: number }} writes
 * @property {{ repaired: number, repairedAt: string | null, behind: number | null }} repair
 *
 * @typedef {object} Status
 * @property {string} version
 * @property {boolean} ready
 * @property {number} writeAcks
 * @property {{ writes: number, reads: number }} acks
 * @property {readonly string[]} warnings
 * @property {number} uptimeSeconds
 * @property {{ lookedAt: string | null }} repair
 * @property {readonly DatabaseStatus[]} databases
 * @property {LogsStatus} logs
 *
 * @typedef {object} LogsStatus
 * @property {number} lines
 * @property {number} values
 * @property {number} broken
 * @property {readonly { problem: string, text: string }[]} brokenLast
 * @property {Readonly<Record<string, number>>} droppedUpstream
 */

const everyMs = 2_000;

const service = createService(askForToken);
const cards = find('databases', HTMLElement);
const anotherToken = find('change-token', HTMLButtonElement);
/** @type {ReturnType<typeof setTimeout> | undefined} */
let refresh;

async function read() {
  clearTimeout(refresh);
  const problem = find('problem', HTMLElement);
  try {
    const { response } = await service.get('-/status', undefined);
    draw(await response.json());
    setText(problem, '');
    anotherToken.hidden = true;
  } catch (error) {
    setText(problem, `${error instanceof Error ? error.message : error}. What is shown may be from before.`);
    anotherToken.hidden = !(error instanceof ServiceError && (error.status === 401 || error.status === 403));
  }
  problem.hidden = problem.textContent === '';
  // Who gives no token, or the wrong one, is not asked again and again, but when they want to.
  if (document.visibilityState === 'visible' && anotherToken.hidden) refresh = setTimeout(read, everyMs);
}

/** @param {Status} status */
function draw(status) {
  const { databases, acks, ready, uptimeSeconds, version, repair } = status;
  const up = databases.filter(({ state }) => state === 'up').length;
  const taken = ready ? 'Writes are taken.' : 'Writes are refused: too few databases take them.';
  setText(
    find('summary', HTMLElement),
    `${up} of ${databases.length} databases are up; a write needs ${acks.writes}. ${taken}`,
  );
  find('summary', HTMLElement).className = up === databases.length ? 'good' : ready ? 'poor' : 'bad';
  setText(
    find('service', HTMLElement),
    `m2pg ${version}, for ${formatDuration(uptimeSeconds)} · compared last ${agoOf(repair.lookedAt) || 'by another process'}`,
  );
  if (cards.children.length !== databases.length) cards.replaceChildren(...databases.map(makeCard));
  databases.forEach((database, index) => {
    const card = cards.children[index];
    if (card) fillCard(card, database);
  });
  drawWarnings(status.warnings);
  drawLogs(status.logs);
}

/** What an operator is to do something about. @param {readonly string[]} texts */
function drawWarnings(texts) {
  const list = find('warnings', HTMLElement);
  list.hidden = texts.length === 0;
  if (list.textContent !== texts.join('')) list.replaceChildren(...texts.map((text) => make('li', {}, text)));
}

/** What log drains have sent, once one has. @param {LogsStatus} logs */
function drawLogs({ lines, values, broken, brokenLast, droppedUpstream }) {
  find('logs', HTMLElement).hidden = lines === 0;
  const dropped = Object.entries(droppedUpstream).map(
    ([code, many]) => `${formatNumber(many)} lines lost upstream (${code})`,
  );
  const told = [
    `${formatNumber(lines)} lines`,
    `${formatNumber(values)} values`,
    `${formatNumber(broken)} broken`,
    ...dropped,
  ];
  setText(find('logs-summary', HTMLElement), `Log drains, to this process: ${told.join(', ')}.`);
  const list = find('logs-broken', HTMLElement);
  const texts = brokenLast.map(({ problem, text }) => `${text}: ${problem}`);
  if (list.textContent !== texts.join('')) list.replaceChildren(...texts.map((text) => make('li', {}, text)));
}

/** @type {readonly string[]} */
const figures = ['Since', 'Round trip', 'Clock', 'Queue', 'Behind', 'Last repair', 'Writes', 'Server', 'Last failure'];

/** @param {DatabaseStatus} database */
function makeCard({ name }) {
  const list = make(
    'dl',
    {},
    ...figures.flatMap((figure) => [make('dt', {}, figure), make('dd', { 'data-figure': figure })]),
  );
  return make('article', { 'aria-label': name }, make('h2', {}, name, ' ', make('span', { class: 'state' })), list);
}

/** @param {Element} card @param {DatabaseStatus} database */
function fillCard(card, database) {
  const badge = card.querySelector('.state');
  if (badge) {
    setText(badge, database.state.replace('_', '-'));
    badge.className = `state ${gravities[database.state] ?? 'bad'}`;
  }
  const texts = { ...textsOfHealth(database), ...textsOfCopies(database) };
  for (const cell of card.querySelectorAll('dd')) setText(cell, texts[cell.dataset.figure ?? ''] ?? '');
}

/** @type {Readonly<Record<string, string>>} */
const gravities = { up: 'good', read_only: 'poor', starting: 'poor', down: 'bad', refused: 'bad' };

/** @param {DatabaseStatus} database @returns {Record<string, string>} */
function textsOfHealth(database) {
  const { state, since, roundTripMs, lastFailure } = database;
  const old = state === 'up' ? '' : ', before';
  return {
    Since: since ? `${clockOf(since)}, ${agoOf(since)}` : 'the start',
    'Round trip': roundTripMs === null ? 'not known' : `${formatNumber(roundTripMs)} ms${old}`,
    Clock: clockTextOf(database),
    Server: serverOf(database),
    'Last failure': lastFailure ? `${lastFailure.message} (${lastFailure.code}), ${agoOf(lastFailure.at)}` : 'none',
  };
}

/** @param {DatabaseStatus} database @returns {Record<string, string>} */
function textsOfCopies({ state, queue, writes, repair: { behind, repaired, repairedAt } }) {
  const isAway = state === 'down' || state === 'refused' || state === 'starting';
  const known = behind === 0 ? 'nothing' : `${formatNumber(behind)} summaries, at least`;
  const copied = `${formatNumber(repaired)} summaries copied to it`;
  return {
    Queue: queue === 0 ? 'empty' : `${formatNumber(queue)} summaries wait`,
    // What was found when it could still be looked at is no longer true.
    Behind: isAway ? 'not known until it is back' : behind === null ? 'not known to this process' : known,
    'Last repair': repairedAt ? `${agoOf(repairedAt)}; ${copied}` : 'none by this process',
    Writes: `${formatNumber(writes.ok)} done, ${formatNumber(writes.failed)} failed`,
  };
}

/** @param {DatabaseStatus} database */
function clockTextOf({ clockOffsetMs }) {
  if (clockOffsetMs === null) return 'not known';
  const seconds = Math.abs(clockOffsetMs) / 1000;
  if (seconds < 1) return 'as that of the service';
  return `${formatDuration(seconds)} ${clockOffsetMs > 0 ? 'ahead' : 'behind'}`;
}

/** @param {DatabaseStatus} database */
function serverOf({ version, tls, pooler, fsync }) {
  const way = pooler ? ', through a pooler' : '';
  const danger = fsync === false ? ', fsync is off: a power failure loses summaries' : '';
  return version === null ? 'not known' : `PostgreSQL ${version}, TLS ${tls}${way}${danger}`;
}

/** @param {string | null} time @returns {string} `3 min ago` */
function agoOf(time) {
  return time === null ? '' : `${formatDuration(service.now() - Date.parse(time) / 1000)} ago`;
}

/** @param {string} time */
function clockOf(time) {
  return `${new Date(time).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible' && anotherToken.hidden) read();
  else clearTimeout(refresh);
});
anotherToken.addEventListener('click', () => {
  service.forgetToken();
  read();
});
read();
