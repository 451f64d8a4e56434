import type { Copy, Slice } from './copy.ts';

/** How many summaries a database holds, and the hash of their ids. */
export interface Tally {
  readonly count: number;
  readonly hash: bigint;
}

/** By hour, in Unix seconds; in the order of the databases. */
export type Tallies = ReadonlyMap<number, readonly Tally[]>;

/** What a database keeps of an hour does not tell what it holds. */
export interface WrongTally {
  readonly type: 'digest' | 'roll-up';
  readonly hour: number;
  readonly in: string;
}

const hoursOf =
  "generate_series(to_timestamp($1::float8), to_timestamp($2::float8) - interval '1 hour', interval '1 hour') as hours (hour)";

/** Of hours that are over: to the one in progress something may come at any moment. */
const kept = {
  digest: `
    select date_part('epoch', hour) as hour, coalesce(sum(summaries), 0)::float8 as count, coalesce(bit_xor(hash), 0)::text as hash
    from ${hoursOf} left join digests on slice >= hour and slice < hour + interval '1 hour'
    where hour < (select closed_to from rollup_state)
    group by 1`,
  'roll-up': `
    select date_part('epoch', hour) as hour, coalesce(sum(summaries), 0)::float8 as count, coalesce(bit_xor(hash), 0)::text as hash
    from ${hoursOf} left join hourly_rollups on start = hour
    where hour < (select rolled_to from rollup_state) and not exists (select from dirty_hours where dirty_hours.hour = hours.hour)
    group by 1`,
};

const stored = `
  select date_part('epoch', date_bin('1 hour', bucket, 'epoch')) as hour, count(*)::float8 as count,
    bit_xor(uuid_hash_extended(id, 0))::text as hash
  from (
    select bucket, id from summaries where bucket >= to_timestamp($1::float8) and bucket < to_timestamp($2::float8)
    union all select packed.bucket, packed.id
    from (select distinct series_id from packed_chunks
      where latest >= to_timestamp($1::float8) and earliest < to_timestamp($2::float8)) as chunks
    cross join lateral packed_between(chunks.series_id, to_timestamp($1::float8),
      to_timestamp($2::float8) - interval '1 microsecond') as packed) as stored
  group by 1`;

const wrong = `
  with stored as (${stored}),
    kept as (select 'digest' as type, * from (${kept.digest}) as digest
      union all select 'roll-up', * from (${kept['roll-up']}) as rolled_up)
  select type, hour from kept left join stored using (hour)
  where (kept.count, kept.hash) is distinct from (coalesce(stored.count, 0), coalesce(stored.hash, '0'))
  order by type, hour`;

/**
 * Compares what the databases hold with the digests and roll-ups that they keep, each in one statement, so as of one instant:
 * a write on its way is in both or in neither.
 *
 * @param slice Whole hours; few, for it reads all summaries of them at once.
 * @throws Failure when a database does not answer.
 */
export async function findWrongTallies(slice: Slice, copies: readonly Copy[]): Promise<WrongTally[]> {
  const found = await Promise.all(
    copies.map(async ({ database }) => {
      const { rows } = await database.query('repair', { text: wrong, values: [slice.from, slice.until] });
      return rows.map(({ type, hour }): WrongTally => ({ type, hour, in: database.name }));
    }),
  );
  return found.flat();
}

/**
 * Finds digests and roll-ups that tell of summaries, of hours in which no database holds any.
 *
 * @param slice Whole hours.
 * @throws Failure when a database does not answer.
 */
export async function findTalliesOfNothing(slice: Slice, copies: readonly Copy[]): Promise<WrongTally[]> {
  const text = `
    select 'digest' as type, hour from (${kept.digest}) as digest where (count, hash) <> (0, '0')
    union all select 'roll-up', hour from (${kept['roll-up']}) as rolled_up where (count, hash) <> (0, '0')`;
  const found = await Promise.all(
    copies.map(async ({ database }) => {
      const { rows } = await database.query('repair', { text, values: [slice.from, slice.until] });
      return rows.map(({ type, hour }): WrongTally => ({ type, hour, in: database.name }));
    }),
  );
  return found.flat();
}

/**
 * Compares what was counted with the digests and roll-ups that the databases keep. What is written between the two looks
 * wrong, too.
 *
 * @param slice Whole hours.
 * @throws Failure when a database does not answer.
 */
export async function compareTallies(slice: Slice, hours: Tallies, copies: readonly Copy[]): Promise<WrongTally[]> {
  const nothing: Tally = { count: 0, hash: 0n };
  const wrong = await Promise.all(
    copies.flatMap(({ database }, index) =>
      (['digest', 'roll-up'] as const).map(async (type) => {
        const { rows } = await database.query('repair', { text: kept[type], values: [slice.from, slice.until] });
        return rows.flatMap((row): WrongTally[] => {
          const tally = hours.get(row.hour)?.[index] ?? nothing;
          const isRight = tally.count === row.count && tally.hash === BigInt(row.hash);
          return isRight ? [] : [{ type, hour: row.hour, in: database.name }];
        });
      }),
    ),
  );
  return wrong.flat();
}
