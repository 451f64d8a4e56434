/**
 * What databases hold of a range of time, as one fingerprint for each series and slice, read from the summaries themselves
 * and laid side by side: all databases give them in one order, so a page of each is enough in memory.
 */
import type { RowCursor } from '../database/cursor.ts';
import type { Statement } from '../database/pools.ts';
import { compareBytes } from '../domain/compare-bytes.ts';
import type { Span } from '../domain/store.ts';
import { statisticNames } from '../domain/summary.ts';
import { storedColumns } from '../store/select-statements.ts';
import type { Copy, Slice } from './copy.ts';

const rowsAtOnce = 5_000;

/** Of the summaries of one series in one slice, in one database. */
export interface Fingerprint {
  readonly name: string;
  /** Unix seconds, as are the first and the last bucket. */
  readonly start: number;
  readonly earliest: number;
  readonly latest: number;
  readonly count: number;
  /** Of the ids. */
  readonly hash: string;
  /** Of all that the summaries say, where it was asked for. */
  readonly content: string | null;
}

/** Which summaries, and what of them. */
export interface FingerprintQuery extends Slice {
  /** As of a read; undefined: every name. */
  readonly namePattern: string | undefined;
  /** Of the slices. */
  readonly widthSeconds: number;
  /** Whether what the summaries say is hashed as well. */
  readonly isOfContent: boolean;
}

/**
 * Yields the fingerprints of each series and slice in the order of the databases, undefined where one has nothing.
 *
 * @throws Failure when one of them does not answer.
 */
export async function* fingerprintsOf(
  copies: readonly Copy[],
  query: FingerprintQuery,
): AsyncGenerator<(Fingerprint | undefined)[]> {
  const statement = fingerprintStatement(query);
  const opening = copies.map(({ database }) => database.open('repair', statement));
  try {
    const sources = (await Promise.all(opening)).map(createSource);
    for (;;) {
      await Promise.all(sources.map((source) => source.fill()));
      const heads = sources.map((source) => source.head());
      const least = heads.reduce((a, b) => (a === undefined || (b !== undefined && compare(b, a) < 0) ? b : a));
      if (least === undefined) return;
      yield heads.map((head, index) => {
        if (head === undefined || compare(head, least) !== 0) return undefined;
        sources[index]?.skip();
        return head;
      });
    }
  } finally {
    for (const cursor of await Promise.allSettled(opening))
      if (cursor.status === 'fulfilled') await cursor.value.close();
  }
}

/** Whether all databases have the same; else they differ in the ids or, if that was asked for, in the content. */
export function isSameEverywhere([first, ...others]: readonly (Fingerprint | undefined)[]): boolean {
  return others.every(
    (other) => other?.hash === first?.hash && other?.count === first?.count && other?.content === first?.content,
  );
}

/** From the first summary to the last, of one series and slice in whatever databases have something of it; at least one. */
export function spanOf(fingerprints: readonly Fingerprint[]): Span {
  const [first] = fingerprints;
  if (first === undefined) throw new Error('BUG: a slice that no database has');
  return {
    name: first.name,
    from: Math.min(...fingerprints.map(({ earliest }) => earliest)),
    to: Math.max(...fingerprints.map(({ latest }) => latest)),
  };
}

function compare(a: Fingerprint, b: Fingerprint): number {
  return compareBytes(a.name, b.name) || a.start - b.start;
}

function createSource(cursor: RowCursor) {
  let rows: unknown[][] = [];
  let at = 0;
  let isAtEnd = false;
  return {
    async fill() {
      if (at < rows.length || isAtEnd) return;
      [rows, at] = [await cursor.read(rowsAtOnce), 0];
      isAtEnd = rows.length < rowsAtOnce;
    },
    head: () => toFingerprint(rows[at]),
    skip() {
      at += 1;
    },
  };
}

function toFingerprint(row: unknown[] | undefined): Fingerprint | undefined {
  if (row === undefined) return undefined;
  const [name, start, earliest, latest, count, hash, content] = row;
  return { name, start, earliest, latest, count, hash, content } as Fingerprint;
}

/** Most often every name is compared, so packed chunks are found by time and not by series. */
function fingerprintStatement({ namePattern, from, until, widthSeconds, isOfContent }: FingerprintQuery): Statement {
  const content = `bit_xor(hash_record_extended(row(bucket, id, ${statisticNames.join(', ')}, sketch), 0))`;
  return {
    text: `
      with matched as materialized (select id, name from series where $1::text is null or name ~ $1),
      chunks as materialized (
        select distinct series_id from packed_chunks
        where latest >= to_timestamp($2::float8) and earliest < to_timestamp($3::float8)),
      stored as (
        select ${storedColumns('summaries')} from summaries where bucket >= to_timestamp($2::float8) and bucket < to_timestamp($3::float8)
        union all select ${storedColumns('packed')} from chunks
        cross join lateral packed_with_sketches(chunks.series_id, to_timestamp($2::float8),
          to_timestamp($3::float8) - interval '1 microsecond') as packed),
      grouped as (
        select series_id, date_bin(make_interval(secs => $4), bucket, 'epoch') as start, min(bucket) as earliest,
          max(bucket) as latest, count(*) as count,
          bit_xor(uuid_hash_extended(stored.id, 0)) as hash, ${isOfContent ? content : 'null'} as content
        from stored group by 1, 2)
      select name, date_part('epoch', start), date_part('epoch', earliest), date_part('epoch', latest),
        count::float8, hash::text, content::text
      from grouped join matched on matched.id = series_id
      order by name, start`,
    values: [namePattern ?? null, from, until, widthSeconds],
  };
}
