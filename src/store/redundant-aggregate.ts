/**
 * The aggregate of several databases, page by page, with every id counted once.
 *
 * Each database gives its series in the order of their names. All that is at hand up to the least of the last names is
 * known of all of them; it is put together by name and reconciled, then the next pages are fetched. So what is in memory
 * at a time is a page or two of each database, however large the answer is.
 *
 * Up to the first page, which says who has answered, a database is asked for no longer than READ_TIMEOUT_MS in all, however often;
 * then so long for each further page, since it is the client who decides when that is fetched.
 *
 * A database that fails before the first page is out is left out, as if it had not answered at all. Later the answer has
 * already been said to hold its summaries: then the whole answer fails rather than be silently less.
 */
import { withTimeout } from '../database/with-timeout.ts';
import { compareBytes } from '../domain/compare-bytes.ts';
import { Failure, toFailure } from '../domain/failure.ts';
import { type SeriesGroups, takePercentiles } from '../domain/series-groups.ts';
import type { AggregateQuery, Aggregation, Store } from '../domain/store.ts';
import { ask, completenessOf, type NamedStore, type RedundantReadsOptions, type Spent } from './ask.ts';
import { mergeRowsInto } from './merge-rows.ts';
import { reconcileGroups } from './reconcile-groups.ts';
import { unionById } from './union-by-id.ts';

/** What one database has given and is yet to give. */
interface Source {
  readonly database: NamedStore;
  readonly pages: AsyncIterator<readonly SeriesGroups[]>;
  atHand: readonly SeriesGroups[];
  isAtEnd: boolean;
}

interface Copy {
  readonly database: NamedStore;
  readonly series: SeriesGroups;
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
    const pages = (await opening).pages[Symbol.asyncIterator]();
    const { value, done } = await pages.next();
    return { pages, atHand: done ? [] : value, isAtEnd: done === true };
  };
  try {
    const spent: Spent = new Map();
    const { given, failed } = await ask(options.databases, open, options, spent);
    const sources = given.map(({ database, value }) => ({ database, ...value }));
    const first = await firstPage(sources, query, options, spent);
    const pages = laterPages(first, query, options);
    return { ...completenessOf(new Map([...failed, ...first.failed]), options), pages, close };
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

/** A page that all of its databases agree on, and who they are. */
interface FirstPage {
  readonly page: readonly SeriesGroups[];
  readonly sources: readonly Source[];
  readonly failed: ReadonlyMap<string, Failure>;
}

async function firstPage(
  opened: readonly Source[],
  query: AggregateQuery,
  options: RedundantReadsOptions,
  spent: Spent,
): Promise<FirstPage> {
  let sources = opened;
  let copies = takeAligned(sources);
  const failed = new Map<string, Failure>();
  for (;;) {
    const { page, failed: failedNow } = await reconcilePage(copies, sources, query, options, spent);
    if (failedNow.size === 0) return { page, sources, failed };
    for (const [name, failure] of failedNow) failed.set(name, failure);
    const answers = ({ database }: { readonly database: NamedStore }) => !failed.has(database.name);
    [sources, copies] = [sources.filter(answers), copies.filter(answers)];
  }
}

async function* laterPages(
  { page: first, sources }: FirstPage,
  query: AggregateQuery,
  options: RedundantReadsOptions,
): AsyncGenerator<readonly SeriesGroups[]> {
  yield first;
  while (sources.some(({ atHand, isAtEnd }) => atHand.length > 0 || !isAtEnd)) {
    await fetchPages(sources, options);
    const { page, failed } = await reconcilePage(takeAligned(sources), sources, query, options);
    const [[name, failure] = []] = failed;
    if (failure) throw new Failure('incomplete', `${name} failed in the middle of the answer`, { cause: failure });
    if (page.length > 0) yield page;
  }
}

/** Fetches the next page of each source that has nothing at hand. */
async function fetchPages(
  sources: readonly Source[],
  { readTimeoutMs, observe }: RedundantReadsOptions,
): Promise<void> {
  const empty = sources.filter(({ atHand, isAtEnd }) => atHand.length === 0 && !isAtEnd);
  await Promise.all(
    empty.map(async (source) => {
      try {
        const { value, done } = await withTimeout(source.pages.next(), readTimeoutMs);
        source.isAtEnd = done === true;
        source.atHand = done ? [] : value;
      } catch (cause) {
        const { name } = source.database;
        const failure = toFailure(cause);
        observe({ type: 'read_failed', database: name, failure });
        throw new Failure('incomplete', `${name} failed in the middle of the answer`, { cause: failure });
      }
    }),
  );
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
  sources: readonly Source[],
  query: AggregateQuery,
  options: RedundantReadsOptions,
  spent: Spent = new Map(),
): Promise<Pick<FirstPage, 'page' | 'failed'>> {
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
