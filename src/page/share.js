import { find, make, setText } from './elements.js';
import { formatState } from './page-state.js';
import { formatBound } from './time-range.js';

/**
 * @typedef {import('./page-state.js').PageState} PageState
 *
 * @typedef {object} Shared What is shown.
 * @property {PageState} state
 * @property {{ from: number, to: number }} range Unix seconds.
 * @property {string} resolution The one that was chosen.
 * @property {readonly URLSearchParams[]} queries What gives its data.
 * @property {readonly string[]} names Of the metrics that are shown.
 */

/** Text as one word of a POSIX shell. @param {string} text */
export function quoteForShell(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * The lines of a shell that give the same data. A token is named, never told.
 *
 * @param {readonly URLSearchParams[]} queries
 * @param {{ base: string, hasToken: boolean }} service The address of the page, with its slash.
 */
export function curlLines(queries, { base, hasToken }) {
  const token = hasToken ? ` -H "Authorization: Bearer $M2PG_TOKEN"` : '';
  return queries
    .map((query) => {
      const data = [...query].map(([key, value]) => ` --data-urlencode ${quoteForShell(`${key}=${value}`)}`);
      return `curl -sSG ${quoteForShell(`${base}metrics`)}${token}${data.join('')}`;
    })
    .join('\n');
}

/**
 * The link by which somebody else sees the same also later: with the range and the resolution that there are now.
 *
 * @param {Shared} shared
 * @param {string} base
 */
export function linkTo({ state, range, resolution }, base) {
  const fixed = { ...state, from: formatBound(range.from), to: formatBound(range.to), resolution };
  return `${base}${formatState(fixed)}`;
}

/**
 * The part of the page that hands on what is shown.
 *
 * @param {import('./service.js').Service} service
 * @param {(error: unknown) => void} onError
 * @param {(completeness: import('./service.js').Completeness) => void} onIncomplete
 */
export function createShare(service, onError, onIncomplete) {
  const base = new URL('./', location.href).href;
  const link = find('link', HTMLInputElement);
  const curl = find('curl', HTMLElement);
  const button = find('csv', HTMLButtonElement);
  const done = find('copied', HTMLElement);
  /** @type {Shared | undefined} */
  let shared;

  /** @param {string} text @param {string} what */
  const copy = async (text, what) => {
    try {
      await navigator.clipboard.writeText(text);
      setText(done, `${what} copied.`);
    } catch {
      // Without TLS a browser gives no clipboard.
      setText(done, 'This browser does not let the page copy: select it and copy it.');
    }
  };
  find('copy-link', HTMLButtonElement).addEventListener('click', () => copy(link.value, 'Link'));
  find('copy-curl', HTMLButtonElement).addEventListener('click', () => copy(curl.textContent ?? '', 'Command'));
  link.addEventListener('focus', () => link.select());

  const save = async () => {
    const answers = await Promise.all((shared?.queries ?? []).map((query) => readCsv(service, query)));
    const incomplete = answers.find(({ completeness }) => !completeness.complete);
    if (incomplete) onIncomplete(incomplete.completeness);
    const tables = answers.map(({ csv }) => csv);
    const text = joinTables(tables, shared?.names ?? []);
    const url = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
    const name = `m2pg-${formatBound(shared?.range.from ?? 0).replaceAll(':', '')}.csv`;
    make('a', { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  };
  button.addEventListener('click', () => save().catch(onError));

  return {
    /** @param {Shared | undefined} next Undefined: nothing is shown. */
    show(next) {
      shared = next;
      button.disabled = next === undefined;
      link.value = next ? linkTo(next, base) : location.href;
      setText(curl, next ? curlLines(next.queries, { base, hasToken: service.hasToken() }) : '');
    },
  };
}

/**
 * Tables of the service as one, of some metrics only and each of them once: a pattern of a long name may match others too.
 *
 * @param {readonly string[]} tables Each begins with the same header line.
 * @param {readonly string[]} names
 */
function joinTables(tables, names) {
  // The service writes an apostrophe before what a spreadsheet would take for a formula.
  const left = new Set(names.flatMap((name) => [name, `'${name}`]));
  const [header = ''] = tables[0]?.split(/(?<=\n)/, 1) ?? [];
  const rows = tables.flatMap((table) => {
    // No name holds the end of a line.
    const all = table.split(/(?<=\n)/).slice(1);
    const own = all.map((row) => ({ row, name: nameOf(row) })).filter(({ name }) => left.has(name));
    for (const { name } of own) left.delete(name);
    return own.map(({ row }) => row);
  });
  return header + rows.join('');
}

/** The first cell. @param {string} row */
function nameOf(row) {
  const [, quoted, plain = ''] = /^(?:"((?:[^"]|"")*)"|([^,]*)),/.exec(row) ?? [];
  return quoted?.replaceAll('""', '"') ?? plain;
}

/** @param {import('./service.js').Service} service @param {URLSearchParams} query */
async function readCsv(service, query) {
  const asked = new URLSearchParams(query);
  asked.set('format', 'csv');
  // It would double the columns; the curl command has it.
  asked.delete('accuracy');
  const { response, completeness } = await service.get('metrics', asked);
  return { csv: await response.text(), completeness };
}
