import { find, make, makeButton, setText } from './elements.js';
import { quoteForShell } from './share.js';

/** @typedef {import('./service.js').Completeness} Completeness */

/**
 * Who did not answer and what that means; '' when all did.
 *
 * @param {Completeness} completeness
 */
export function describeMissing({ complete, outcomes }) {
  const missing = outcomes.filter(({ outcome }) => outcome !== 'ok');
  const who = missing.map(({ database, outcome }) => `${database} (${outcome.replaceAll('_', ' ')})`).join(', ');
  if (!complete) return `Incomplete: ${who || 'a database'} did not answer, and what is shown may lack summaries.`;
  return missing.length > 0 ? `${who} did not answer. What is shown is complete all the same.` : '';
}

/** The places of the page that tell the person something. */
export function createMessages() {
  const problem = find('problem', HTMLElement);
  const missing = find('missing', HTMLElement);
  const note = find('note', HTMLElement);
  const summary = find('summary', HTMLElement);
  const patternProblem = find('match-problem', HTMLElement);
  const empty = find('empty', HTMLElement);

  /** @param {HTMLElement} element @param {string} text */
  const tell = (element, text) => {
    setText(element, text);
    element.hidden = text === '';
  };

  return {
    /** @param {string} text */
    summary: (text) => setText(summary, text),
    /** @param {string} text */
    problem: (text) => tell(problem, text),
    /** @param {string} text */
    patternProblem: (text) => tell(patternProblem, text),
    /** @param {string} text */
    note: (text) => tell(note, text),
    /** @param {Completeness} completeness */
    missing(completeness) {
      tell(missing, describeMissing(completeness));
      missing.classList.toggle('mild', completeness.complete);
    },
    /**
     * What stands where the charts would; nothing leaves the place to them.
     *
     * @param {string} key The same for the same: it is not made anew then, so that it can be read and selected.
     * @param {() => readonly Node[]} content
     */
    empty(key = '', content = () => []) {
      if (empty.dataset.key === key) return;
      empty.dataset.key = key;
      empty.hidden = key === '';
      empty.replaceChildren(...content());
    },
  };
}

/**
 * For whoever has no data yet: how to send some.
 *
 * @param {string} base The address of the page, with its slash.
 * @param {boolean} hasToken
 * @returns {readonly Node[]}
 */
export function howToBegin(base, hasToken) {
  const token = hasToken ? ` -H "Authorization: Bearer $M2PG_TOKEN"` : '';
  const summary = JSON.stringify({ name: 'foo.web.requests', value: 4.25 });
  const logs = new URL('logs', base);
  const drain = hasToken ? `${logs.protocol}//$M2PG_TOKEN@${logs.host}${logs.pathname}` : logs.href;
  return [
    make('h2', {}, 'No data yet'),
    make('p', {}, 'This page shows it as soon as it comes. Send a value from a terminal:'),
    make('pre', {}, make('code', {}, `curl -d ${quoteForShell(summary)}${token} ${quoteForShell(`${base}metrics`)}`)),
    make('p', {}, 'Or let Heroku send the logs of an app, of which m2pg makes metrics:'),
    make(
      'pre',
      {},
      make('code', {}, `heroku drains:add ${hasToken ? `"${drain}"` : quoteForShell(drain)} -a YOUR-APP`),
    ),
    ...(hasToken ? [make('p', {}, 'M2PG_TOKEN is to hold a token that may write.')] : []),
  ];
}

/**
 * A heading, a sentence and perhaps something to do about it.
 *
 * @param {string} heading
 * @param {string} text
 * @param {readonly (readonly [string, () => void])[]} ways
 * @returns {readonly Node[]}
 */
export function explain(heading, text, ways = []) {
  return [make('h2', {}, heading), make('p', {}, text), ...ways.map(([label, go]) => makeButton(label, go))];
}
