/**
 * Where databases differ, told by the digests that each keeps of its slices of time: a few rows a week, however many
 * summaries there are.
 *
 * 1. Weeks are compared.
 * 2. Of the weeks that differ, the hours are compared; of hours that are not closed in every database, the minutes.
 */
import type { Copy, Slice } from './copy.ts';

const weekSeconds = 604_800;
const hourSeconds = 3_600;
const minuteSeconds = 60;

/** A slice that is not the same everywhere. */
export interface DifferingSlice extends Slice {
  /** Each database, whether it takes writes, and its digest, as text: the same text, the same difference, the same remedy. */
  readonly signature: string;
  /** How many summaries each holds, in their order. */
  readonly counts: readonly number[];
}

type Digests = ReadonlyMap<number, { readonly count: number; readonly text: string }>;

/**
 * The slices of a range that databases differ in, the newest first.
 *
 * @param range Whole hours.
 * @throws Failure when one of them does not answer.
 */
export async function findDifferingSlices(copies: readonly Copy[], range: Slice): Promise<DifferingSlice[]> {
  const weeks = await compare(copies, (copy) => readDigests(copy, weeksOf, [range.from, range.until]), weekSeconds);
  if (weeks.length === 0) return [];
  const closedTo = Math.max(...(await Promise.all(copies.map(readClosedTo))));
  const starts = weeks.map(({ from }) => from);
  const values = [range.from, range.until, starts, Math.min(closedTo, range.until)];
  const slices = await compare(
    copies,
    (copy) => readDigests(copy, hoursOf, values),
    (start) => (start < closedTo ? hourSeconds : minuteSeconds),
  );
  return slices.toSorted((a, b) => b.from - a.from);
}

const counted = "sum(summaries)::float8 as count, sum(summaries) || ':' || bit_xor(hash) as text";
const inRange = 'slice >= to_timestamp($1::float8) and slice < to_timestamp($2::float8)';
const weekOf = "date_bin('7 days', slice, 'epoch')";

const weeksOf = `
  select date_part('epoch', ${weekOf}) as start, ${counted} from digests where ${inRange}
  group by 1 having sum(summaries) <> 0 or bit_xor(hash) <> 0`;

/** Before $4 hours: in some database they are closed, and what came late to them is counted by the hour. */
const hoursOf = `
  select date_part('epoch', date_bin(
    case when slice < to_timestamp($4::float8) then interval '1 hour' else interval '1 minute' end, slice, 'epoch')) as start,
    ${counted}
  from digests where ${inRange} and date_part('epoch', ${weekOf}) = any ($3::float8[])
  group by 1 having sum(summaries) <> 0 or bit_xor(hash) <> 0`;

async function readDigests({ database }: Copy, text: string, values: unknown[]): Promise<Digests> {
  const { rows } = await database.query('repair', { text, values });
  return new Map(rows.map(({ start, count, text }) => [start, { count, text }]));
}

/** Unix seconds; 0 where nothing is closed yet. */
async function readClosedTo({ database }: Copy): Promise<number> {
  const text = "select greatest(date_part('epoch', closed_to), 0) as closed from rollup_state";
  const { rows } = await database.query('repair', { text });
  return rows[0]?.closed ?? 0;
}

async function compare(
  copies: readonly Copy[],
  read: (copy: Copy) => Promise<Digests>,
  width: number | ((start: number) => number),
): Promise<DifferingSlice[]> {
  const digests = await Promise.all(copies.map(read));
  const takers = copies.map((copy) => `${copy.database.name}${copy.isWritable() ? '' : ' (takes none)'}`);
  const starts = [...new Set(digests.flatMap((ofOne) => [...ofOne.keys()]))];
  return starts.flatMap((from) => {
    const found = digests.map((ofOne) => ofOne.get(from) ?? { count: 0, text: '' });
    if (found.every(({ text }) => text === found[0]?.text)) return [];
    const until = from + (typeof width === 'number' ? width : width(from));
    const signature = found.map(({ text }, index) => `${takers[index]} ${text}`).join(' ');
    return [{ from, until, signature, counts: found.map(({ count }) => count) }];
  });
}
