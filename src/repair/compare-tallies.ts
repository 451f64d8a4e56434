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

/**
 * Compares what was counted with the digests and roll-ups that the databases keep.
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
