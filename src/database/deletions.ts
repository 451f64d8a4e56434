import type { Deletion } from '../domain/deletion.ts';

/** A transaction of a tenth of a second. */
const rowsMax = 5_000;

/** Runs a statement on one database, on whatever connection. */
export type Run = (text: string, values?: unknown[]) => Promise<{ readonly rows: Record<string, unknown>[] }>;

/** What a database knows of deletions, to be compared. */
export interface DeletionsDigest {
  readonly digest: string;
  readonly unsettled: number;
  readonly unapplied: number;
}

/** A deletion as one database knows it. */
export interface KnownDeletion extends Deletion {
  /** To the end, at least once: of what it covers, whatever is there now was sent afterwards or came late. */
  readonly isApplied: boolean;
}

/** The digest of all deletions that a database knows, and how many of them are to be applied, once more or at all. */
export async function digestDeletions(run: Run): Promise<DeletionsDigest> {
  const text = `
    select count(*) || ':' || coalesce(bit_xor(uuid_hash_extended(id, 0)), 0) as digest,
      count(*) filter (where settled_at is null)::int as unsettled,
      count(*) filter (where applied_at is null)::int as unapplied
    from deletions`;
  const { rows } = await run(text);
  return rows[0] as unknown as DeletionsDigest;
}

/** All deletions that a database knows. */
export async function readDeletions(run: Run): Promise<KnownDeletion[]> {
  const text = `
    select id, name, date_part('epoch', earliest) as from, date_part('epoch', latest) as to,
      date_part('epoch', deleted_at) as "deletedAt", applied_at is not null as "isApplied"
    from deletions`;
  return (await run(text)).rows as unknown as KnownDeletion[];
}

/** Notes deletions; those that are known stay as they are. */
export async function noteDeletions(run: Run, deletions: readonly Deletion[]): Promise<void> {
  const text = `
    insert into deletions (id, name, earliest, latest, deleted_at)
    select id, name, to_timestamp(earliest), to_timestamp(latest), to_timestamp(deleted_at)
    from unnest($1::uuid[], $2::text[], $3::float8[], $4::float8[], $5::float8[]) as given (id, name, earliest, latest, deleted_at)
    on conflict do nothing`;
  const column = (key: keyof Deletion) => deletions.map((deletion) => deletion[key]);
  await run(text, [column('id'), column('name'), column('from'), column('to'), column('deletedAt')]);
}

/** The deletions that are to be applied to a database. */
export async function unsettledDeletions(run: Run): Promise<string[]> {
  const { rows } = await run('select id from deletions where settled_at is null order by deleted_at');
  return rows.map(({ id }) => String(id));
}

/**
 * Applies a deletion step by step.
 *
 * @param mayGoOn Asked after each step; what is left then is left to the next time.
 * @returns How many summaries went.
 */
export async function applyDeletion(
  run: Run,
  id: string,
  mayGoOn: () => boolean | Promise<boolean>,
): Promise<{ deleted: number; isDone: boolean }> {
  let deleted = 0;
  for (;;) {
    const { rows } = await run('select * from apply_deletion($1, $2)', [id, rowsMax]);
    const [step] = rows as [{ deleted: number; done: boolean }];
    deleted += step.deleted;
    if (step.done || !(await mayGoOn())) return { deleted, isDone: step.done };
  }
}

/** Has deletions applied again: something that they cover has come back. */
export async function reopenDeletions(run: Run, ids: readonly string[]): Promise<void> {
  await run('update deletions set settled_at = null where id = any ($1::uuid[]) and settled_at is not null', [ids]);
}
