/**
 * The aggregate of several databases, page by page, with every id counted once.
 *
 * Each database gives its series in the order of their names. All that is at hand up to the least of the last names is
 * known of all of them; it is put together by name and reconciled, then the next pages are fetched. So what is in memory
 * at a time is a page or two of each database, however large the answer is.
 *
 * The beginning of the answer is read before anything is said about it: `groupsHeldMin` groups or, of a smaller answer,
 * all of it, unless that takes longer than `heldMsMax`. A database that fails until then is left out, as if it had not
 * answered at all, and the read goes on with the others. What was already merged from it stays: its summaries are
 * stored, even if no other database has them. A database that fails later was already said to contribute: then the whole answer fails rather than be
 * silently less.
 *
 * For its first page a database is asked for no longer than READ_TIMEOUT_MS in all, however often; then so long for each
 * further page.
 */
import { withTimeout } from '../database/with-timeout.ts';
import { compareBytes } from '../domain/compare-bytes.ts';
import { Failure, toFailure } from '../domain/failure.ts';
import { type SeriesGroups, takePercentiles } from '../domain/series-groups.ts';
import type { AggregateQuery, Aggregation, Store } from '../domain/store.ts';
import {
  ask,
  completenessOf,
  failureOfAll,
  isAboutQuery,
  type NamedStore,
  type RedundantReadsOptions,
  type Spent,
  untilStopping,
} from './ask.ts';
import { mergeRowsInto } from './merge-rows.ts';
import { reconcileGroups } from './reconcile-groups.ts';
import { unionById } from './union-by-id.ts';

/** This is more text, in either format, than the HTTP service holds back: until there are so many, nothing has been sent. */
const groupsHeldMin = 32_000;

/** Routers such as Heroku's give up on a request after 30 s without a byte of its answer. */
const heldMsMax = 20_000;

/** What one database has given and is yet to give. */
interface Source {
  readonly database: NamedStore;
  readonly pages: AsyncIterator<readonly SeriesGroups[]>;
  readonly close: Aggregation['close'];
  atHand: readonly SeriesGroups[];
  isAtEnd: boolean;
}

interface Copy {
  readonly database: NamedStore;
  readonly series: SeriesGroups;
}

/** A read in progress. */
interface Reading {
  readonly query: AggregateQuery;
  readonly options: RedundantReadsOptions;
  /** Those that contribute. */
  sources: readonly Source[];
  /** Those that do not, and why. */
  readonly failed: Map<string, Failure>;
  /** Whether the caller knows who contributes: from then on none of them may fail. */
  isSaid: boolean;
}

/** As `Store.aggregate` promises. */
export async function redundantAggregate(query: AggregateQuery, options: RedundantReadsOptions): Promise<Aggregation> {
  const opened: Promise<Aggregation>[] = [];
  const close = async () => {
    // Also what opens only later, because it was too slow to be waited for.
    for (const aggregation of opened) void aggregation.then((late) => late.close(), ignore);
  };
  const open = async (store: Store) => {
    const opening = store.aggregate(query);
    opened.push(opening);
    const aggregation = await opening;
    const pages = aggregation.pages[Symbol.asyncIterator]();
    const { value, done } = await pages.next();
    return { pages, close: aggregation.close, atHand: done ? [] : value, isAtEnd: done === true };
  };
  try {
    const spent: Spent = new Map();
    const { given, failed } = await ask(options.databases, open, options, spent);
    const sources = given.map(({ database, value }) => ({ database, ...value }));
    const reading: Reading = { query, options, sources, failed: new Map(failed), isSaid: false };
    const held = await readBeginning(reading, spent);
    reading.isSaid = true;
    return { ...completenessOf(reading.failed, options), pages: allPages(held, reading), close };
  } catch (error) {
    await close();
    throw error;
  }
}

const ignore = () => undefined;

/** All of them had answered a moment before: it is the differences that are too many. */
function tellTooSlow(error: unknown, { stopping }: RedundantReadsOptions): never {
  const failure = toFailure(error);
  const causes = Array.isArray(failure.cause) ? failure.cause.map(toFailure) : [];
  const isTooSlow = failure.code === 'no_database' && causes.every(({ code }) => code === 'timeout');
  if (!isTooSlow || stopping?.aborted) throw failure;
  const message = 'takes longer than READ_TIMEOUT_MS, since the databases differ in much of it: narrow it, or the time';
  throw new Failure('read_too_slow', message, { cause: failure });
}

function hasMore({ sources }: Reading): boolean {
  return sources.some(({ atHand, isAtEnd }) => atHand.length > 0 || !isAtEnd);
}

/**
 * Reads the pages that are held back until it is said who contributes.
 *
 * @param spent What the first page has cost so far.
 */
async function readBeginning(reading: Reading, spent: Spent): Promise<(readonly SeriesGroups[])[]> {
  const begun = performance.now();
  const pages = [await nextPage(reading, spent)];
  let groups = countGroups(pages[0]);
  while (groups < groupsHeldMin && hasMore(reading) && performance.now() - begun < heldMsMax) {
    const page = await nextPage(reading);
    groups += countGroups(page);
    pages.push(page);
  }
  return pages;
}

function countGroups(page: readonly SeriesGroups[] = []): number {
  return page.reduce((sum, { buckets }) => sum + buckets.length, 0);
}

async function* allPages(held: (readonly SeriesGroups[])[], reading: Reading): AsyncGenerator<readonly SeriesGroups[]> {
  // One by one, so that what has been taken is garbage.
  for (let page = held.shift(); page !== undefined; page = held.shift()) if (page.length > 0) yield page;
  while (hasMore(reading)) {
    const page = await nextPage(reading);
    if (page.length > 0) yield page;
  }
}

/** The next page that all databases agree on. Fetches from those that have nothing at hand. */
async function nextPage(reading: Reading, spent?: Spent): Promise<readonly SeriesGroups[]> {
  await fetchPages(reading);
  let copies = takeAligned(reading.sources);
  for (;;) {
    const { page, failed } = await reconcilePage(copies, reading, spent);
    if (failed.size === 0) return page;
    leaveOut(failed, reading);
    copies = copies.filter(({ database }) => !failed.has(database.name));
  }
}

/** @throws Failure when it was already said that they contribute, or when none is left. */
function leaveOut(failed: ReadonlyMap<string, Failure>, reading: Reading): void {
  const [[name, failure] = []] = failed;
  if (failure === undefined) return;
  if (reading.isSaid) throw new Failure('incomplete', `${name} failed in the middle of the answer`, { cause: failure });
  for (const { database, close } of reading.sources) {
    // Frees its connection now, not when the whole answer has been read.
    if (failed.has(database.name)) close().catch(ignore);
  }
  for (const [database, reason] of failed) reading.failed.set(database, reason);
  reading.sources = reading.sources.filter(({ database }) => !failed.has(database.name));
  if (reading.sources.length === 0) throw failureOfAll([...reading.failed.values()]);
}

/** Fetches the next page of each source that has nothing at hand. */
async function fetchPages(reading: Reading): Promise<void> {
  const { readTimeoutMs, stopping, observe } = reading.options;
  const empty = reading.sources.filter(({ atHand, isAtEnd }) => atHand.length === 0 && !isAtEnd);
  const failed = new Map<string, Failure>();
  await Promise.all(
    empty.map(async (source) => {
      try {
        const next = source.pages.next();
        // An answer that is being sent may go on until the service has stopped.
        const waitsToTheEnd = reading.isSaid || stopping?.aborted;
        const { value, done } = await withTimeout(waitsToTheEnd ? next : untilStopping(next, stopping), readTimeoutMs);
        source.isAtEnd = done === true;
        source.atHand = done ? [] : value;
      } catch (cause) {
        const { name } = source.database;
        const failure = toFailure(cause);
        if (isAboutQuery(failure)) throw failure;
        observe({ type: 'read_failed', database: name, failure });
        failed.set(name, failure);
      }
    }),
  );
  leaveOut(failed, reading);
}

/** Takes what is known of every source: up to the least of the last names of those that have more to give. */
function takeAligned(sources: readonly Source[]): Copy[] {
  const lastNames = sources.filter(({ isAtEnd }) => !isAtEnd).flatMap(({ atHand }) => atHand.at(-1)?.name ?? []);
  const bound = lastNames.toSorted(compareBytes)[0];
  return sources.flatMap((source) => {
    const { database, atHand } = source;
    const isTaken = ({ name }: SeriesGroups) => bound === undefined || compareBytes(name, bound) <= 0;
    const beyond = atHand.findIndex((series) => !isTaken(series));
    const taken = beyond === -1 ? atHand : atHand.slice(0, beyond);
    source.atHand = atHand.slice(taken.length);
    return taken.map((series) => ({ database, series }));
  });
}

async function reconcilePage(
  copies: readonly Copy[],
  { sources, query, options }: Reading,
  spent: Spent = new Map(),
): Promise<{ readonly page: readonly SeriesGroups[]; readonly failed: ReadonlyMap<string, Failure> }> {
  const byName = Map.groupBy(copies, ({ series }) => series.name);
  const reconciled = [...byName]
    .toSorted(([a], [b]) => compareBytes(a, b))
    .map(([, ofName]) => reconcileGroups(ofName.map(({ series }) => series)));
  const failed = new Map<string, Failure>();
  const databases = sources.map(({ database }) => database);
  const differing = reconciled.flatMap((one) => one.differing);
  await mergeRowsInto(differing, query, async (spans) => {
    const asking = ask(databases, (store) => store.selectSpans(spans), options, spent);
    const rows = await asking.catch((error) => tellTooSlow(error, options));
    for (const [name, failure] of rows.failed) failed.set(name, failure);
    return unionById(rows.given.map(({ value }) => value));
  });
  const page = reconciled.map(({ series }) => takePercentiles(series, query.percentiles ?? []));
  return { page, failed };
}
