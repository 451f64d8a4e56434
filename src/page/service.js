/**
 * Asks the service. Where it wants a token, the person is asked for one, which is kept as long as the tab is open and goes
 * nowhere but into the header of requests.
 *
 * @typedef {object} Completeness
 * @property {boolean} complete
 * @property {readonly { readonly database: string, readonly outcome: string }[]} outcomes
 *
 * @typedef {object} Answer
 * @property {Response} response
 * @property {Completeness} completeness
 *
 * @typedef {(path: string, query: URLSearchParams | undefined, signal?: AbortSignal) => Promise<Answer>} Get
 *
 * @typedef {object} Service
 * @property {Get} get Rejects with a ServiceError.
 * @property {() => number} now Unix seconds, by the clock of the service.
 * @property {() => boolean} hasToken
 * @property {() => void} forgetToken
 */

/** What the service, or the way to it, has against a request. */
export class ServiceError extends Error {
  /**
   * @param {string} message
   * @param {number} status 0: there was no answer.
   */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const tokenKey = 'm2pg token';

/**
 * @param {(detail: string) => Promise<string>} askForToken Rejects when the person does not give one.
 * @returns {Service}
 */
export function createService(askForToken) {
  let aheadMs = 0;
  /** @type {Promise<void> | undefined} */
  let asking;

  /** Once, however many requests want one. @param {string | null} refused @param {string} detail */
  const renewToken = (refused, detail) => {
    if (sessionStorage.getItem(tokenKey) !== refused) return Promise.resolve();
    asking ??= askForToken(detail)
      .then(
        (token) => sessionStorage.setItem(tokenKey, token),
        () => {
          throw new ServiceError(detail, 401);
        },
      )
      .finally(() => {
        asking = undefined;
      });
    return asking;
  };

  /** @type {Get} */
  const get = async (path, query, signal) => {
    const token = sessionStorage.getItem(tokenKey);
    const headers = token === null ? undefined : { Authorization: `Bearer ${token}` };
    const response = await reach(`${path}${query ? `?${query}` : ''}`, { cache: 'no-store', headers, signal });
    const date = Date.parse(response.headers.get('Date') ?? '');
    // A second of the header is half a second old on average.
    if (!Number.isNaN(date)) aheadMs = date + 500 - Date.now();
    if (response.ok) return { response, completeness: completenessOf(response.headers) };
    const detail = await detailOf(response);
    if (response.status !== 401) throw new ServiceError(detail, response.status);
    await renewToken(token, token === null ? detail : `the service does not know that token; ${detail}`);
    return get(path, query, signal);
  };

  return {
    get,
    // Within the second that the header tells, two clocks that agree are not to seem apart.
    now: () => (Date.now() + (Math.abs(aheadMs) > 1_500 ? aheadMs : 0)) / 1000,
    hasToken: () => sessionStorage.getItem(tokenKey) !== null,
    forgetToken: () => sessionStorage.removeItem(tokenKey),
  };
}

/**
 * @param {string} url
 * @param {{ cache: RequestCache, headers: Record<string, string> | undefined, signal: AbortSignal | undefined }} options
 */
async function reach(url, { headers, signal, ...options }) {
  try {
    return await fetch(url, { ...options, ...(headers && { headers }), ...(signal && { signal }) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ServiceError('the service cannot be reached', 0);
  }
}

/** @param {Response} response */
async function detailOf(response) {
  try {
    const { detail } = await response.json();
    return String(detail);
  } catch {
    return `the service answered ${response.status}`;
  }
}

/** @param {Headers} headers @returns {Completeness} */
function completenessOf(headers) {
  const text = headers.get('M2pg-Databases') ?? '';
  const outcomes = text.split(', ').flatMap((part) => {
    const [database = '', outcome] = part.split('=');
    return outcome === undefined ? [] : [{ database, outcome }];
  });
  return { complete: headers.get('M2pg-Complete') !== 'false', outcomes };
}

/**
 * What several answers together are: complete when all are; of each database what it said worst.
 *
 * @param {readonly Completeness[]} parts
 * @returns {Completeness}
 */
export function joinCompleteness(parts) {
  /** @type {Map<string, string>} */
  const outcomes = new Map();
  for (const { database, outcome } of parts.flatMap((part) => part.outcomes)) {
    if (outcome !== 'ok' || !outcomes.has(database)) outcomes.set(database, outcome);
  }
  return {
    complete: parts.every(({ complete }) => complete),
    outcomes: [...outcomes].map(([database, outcome]) => ({ database, outcome })),
  };
}
