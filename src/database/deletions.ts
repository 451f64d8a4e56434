import type { Deletion } from '../domain/deletion.ts';
import type { ClockReading } from './clocks.ts';
import { instantsAt, momentsOf, readClock } from './moments.ts';
import { databaseFailure } from './sqlstate.ts';

/** A transaction of a tenth of a second. */
const rowsMax = 5_000;

/** The line of a deletion is drawn a quarter of a second after it was asked for: a clock must be known better than that. */
export const clockTriesMax = 5;

/** Runs a statement on one database, on whatever connection. */
export type Run = (text: string, values?: unknown[]) => Promise<{ readonly rows: Record<string, unknown>[] }>;

/** What a database knows of deletions, to be compared, and what its clock shows. */
export interface DeletionsDigest {
  readonly digest: string;
  readonly unsettled: number;
  readonly clock: ClockReading;
}

/** A deletion, and the instant that divides what it covers from what it leaves. */
export interface DatedDeletion extends Deletion {
  /** By the clock of one database, Unix seconds. */
  readonly deletedAt: number;
  /** Of what was stored before arrivals were noted, the ids tell what it covers. */
  readonly isById: boolean;
}

/** A deletion as one database knows it. */
export interface KnownDeletion extends DatedDeletion {
  /** It covers nothing any more: of its range, whatever is there was sent afterwards. */
  readonly isSettled: boolean;
}

/** A deletion as this process knows it: by its own monotonic clock, and so for any database. */
export interface SeenDeletion extends Omit<DatedDeletion, 'deletedAt'> {
  readonly deletedAtMs: number;
}

/** The digest of all deletions that a database knows, and how many of them are to be applied, once more or at all. */
export async function digestDeletions(run: Run): Promise<DeletionsDigest> {
  const text = `
    select count(*) || ':' || coalesce(bit_xor(uuid_hash_extended(id, 0)), 0) as digest,
      count(*) filter (where settled_at is null)::int as unsettled
    from deletions`;
  const clock = await readClock(run, clockTriesMax);
  const { rows } = await run(text);
  return { ...(rows[0] as unknown as Omit<DeletionsDigest, 'clock'>), clock };
}

/** All deletions that a database knows. */
export async function readDeletions(run: Run): Promise<KnownDeletion[]> {
  const text = `
    select id, name, date_part('epoch', earliest) as from, date_part('epoch', latest) as to,
      date_part('epoch', deleted_at) as "deletedAt", by_id as "isById", settled_at is not null as "isSettled"
    from deletions`;
  return (await run(text)).rows as unknown as KnownDeletion[];
}

/** Deletions of a database as this process knows them, none of them as later than it was. */
export function toSeen(deletions: readonly DatedDeletion[], clock: ClockReading): SeenDeletion[] {
  return deletions.map(({ id, name, from, to, isById, deletedAt }) => {
    const [deletedAtMs] = momentsOf(clock, deletedAt);
    return { id, name, from, to, isById, deletedAtMs };
  });
}

/** All deletions that a database knows, as this process knows them. */
export async function seeDeletions(run: Run): Promise<SeenDeletion[]> {
  const clock = await readClock(run, clockTriesMax);
  return toSeen(await readDeletions(run), clock);
}

/** Notes deletions, none as later than now; those that are known stay as they are. */
export async function noteDeletions(run: Run, deletions: readonly DatedDeletion[]): Promise<void> {
  if (deletions.length === 0) return;
  const text = `
    insert into deletions (id, name, earliest, latest, deleted_at, by_id)
    select id, name, to_timestamp(earliest), to_timestamp(latest), least(now(), to_timestamp(deleted_at)), by_id
    from unnest($1::uuid[], $2::text[], $3::float8[], $4::float8[], $5::float8[], $6::boolean[])
      as given (id, name, earliest, latest, deleted_at, by_id)
    on conflict do nothing`;
  const column = (key: keyof DatedDeletion) => deletions.map((deletion) => deletion[key]);
  await run(text, [column('id'), column('name'), column('from'), column('to'), column('deletedAt'), column('isById')]);
}

/** Notes deletions that were made before, none as later than it was. */
export async function passDeletionsOn(run: Run, seen: readonly SeenDeletion[]): Promise<void> {
  if (seen.length === 0) return;
  const clock = await readClock(run, clockTriesMax);
  await noteDeletions(
    run,
    seen.map((deletion) => ({ ...deletion, deletedAt: instantsAt(clock, deletion.deletedAtMs)[0] })),
  );
}

/** The deletions that are to be applied to a database. */
export async function unsettledDeletions(run: Run): Promise<string[]> {
  const { rows } = await run('select id from deletions where settled_at is null order by deleted_at');
  return rows.map(({ id }) => String(id));
}

/**
 * Applies a deletion step by step.
 *
 * @param mayGoOn Is told after each step but the last how many summaries it took; what is left then is left to the next time.
 * @returns Whether nothing of what it covers is there any more.
 */
export async function applyDeletion(
  run: Run,
  id: string,
  mayGoOn: (deleted: number) => boolean | Promise<boolean>,
): Promise<boolean> {
  for (;;) {
    const { deleted, done } = await applyStep(run, id);
    if (done || !(await mayGoOn(deleted))) return done;
  }
}

async function applyStep(run: Run, id: string): Promise<{ deleted: number; done: boolean }> {
  try {
    const { rows } = await run('select deleted, done from apply_deletion($1, $2)', [id, rowsMax]);
    return rows[0] as { deleted: number; done: boolean };
  } catch (error) {
    // A race with a writer that was lost.
    if (databaseFailure(error).code === 'conflict') return { deleted: 0, done: false };
    throw error;
  }
}

/** How many summaries a deletion took so far, whoever applied it; undefined: it is not known here. */
export async function countDeleted(run: Run, id: string): Promise<number | undefined> {
  const { rows } = await run('select deleted_count::float8 as deleted from deletions where id = $1', [id]);
  return rows[0] && Number(rows[0].deleted);
}
