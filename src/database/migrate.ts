import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { runner } from 'node-pg-migrate';
import { type Client, escapeIdentifier } from 'pg';
import { Failure } from '../domain/failure.ts';

const directory = join(import.meta.dirname, '../../migrations');
const migrationsTable = 'm2pg_migrations';

/**
 * What the migrations make. Where any of it is missing, somebody dropped it or restored a part, and they all run again:
 * each of them must leave alone what is there already.
 */
const isIncomplete = `
  select num_nulls(to_regclass('series'), to_regclass('summaries'), to_regclass('database_identity'),
    to_regprocedure('create_summaries_week(date)'),
    to_regprocedure('maintain_summaries(timestamptz, integer)'), to_regclass('rollup_state'),
    to_regclass('hourly_rollups'), to_regclass('daily_rollups'), to_regclass('dirty_hours'),
    to_regprocedure('roll_up(timestamptz, integer)'),
    to_regclass('packed_chunks'), to_regclass('packing'), to_regclass('summary_weeks'),
    to_regprocedure('packed_between(integer, timestamptz, timestamptz)'),
    to_regprocedure('pack_summaries(timestamptz, timestamptz, integer, integer)'),
    to_regclass('digests'), to_regclass('repair_lease'), to_regprocedure('recount(timestamptz, timestamptz)'),
    to_regclass('deletions'), to_regprocedure('apply_deletion(uuid, integer)'),
    to_regclass('quarantine'), to_regprocedure('quarantine_summary(uuid, jsonb, text)'),
    to_regprocedure('packed_with_sketches(integer, timestamptz, timestamptz)'),
    to_regclass('packed_arrivals'), to_regprocedure('packed_with_arrivals(integer, timestamptz, timestamptz)'),
    to_regclass('settings_in_use'), to_regclass('equal_rounds'), to_regclass('retention_state'),
    to_regprocedure('maintain_weeks(timestamptz, integer, timestamptz, interval)'),
    to_regprocedure('reopen_hours(timestamptz)')) > 0 as incomplete`;

/** Elects one of several processes that migrate at once; a random number, ours for good. */
const lockValue = 5_912_204_387_116_021;

/**
 * Where the network loses our connection, the server does not hear of it for hours, and its session would hold the lock, and
 * those of the migration, against everybody. Between two statements we never need as long as this.
 */
const idleMaxMs = 5_000;
const whileMigrating = {
  idle_session_timeout: `${idleMaxMs}`,
  idle_in_transaction_session_timeout: `${idleMaxMs}`,
};

/** Since PostgreSQL 14: `date_bin`. */
const serverVersionMin = 140_000;

/**
 * Brings a database up to date. Safe when several processes race: the others wait, then find nothing to do.
 *
 * @param client Connected, with timeouts that leave a migration its time. The caller ends it.
 * @returns The names of the migrations that were run.
 * @throws Failure `schema_newer` for a database that a newer m2pg has migrated, `unsupported_database` for a server
 *   that is too old or not in UTF-8; else what the driver raises.
 */
export async function migrate(client: Client): Promise<string[]> {
  await refuseUnsupported(client);
  await refuseNewer(client);
  const { rows } = await client.query<{ schema: string | null }>('select current_schema() as schema');
  const schema = rows[0]?.schema;
  if (!schema) throw new Failure('database_missing', 'has no schema to create tables in (search_path names none)');
  const before = await change(client, { ...whileMigrating, search_path: await pathOf(client, schema) });
  await client.query(`select pg_advisory_lock(${lockValue})`);
  const witness = createWitness(client);
  try {
    const { rows: found } = await client.query<{ incomplete: boolean }>(isIncomplete);
    if (found[0]?.incomplete) await client.query(`drop table if exists ${migrationsTable}`);
    const migrated = await runner({
      dbClient: witness.client,
      dir: directory,
      direction: 'up',
      migrationsTable,
      migrationsSchema: schema,
      // Ours is held already.
      noLock: true,
      singleTransaction: true,
      logger: { info: ignore, warn: ignore, error: ignore },
    });
    return migrated.map(({ name }) => name);
  } catch (error) {
    throw witness.seen() ?? error;
  } finally {
    // With the connection gone, the lock is gone too.
    await client.query(`select pg_advisory_unlock(${lockValue})`).catch(ignore);
    await change(client, before).catch(ignore);
  }
}

function ignore(): void {}

/** Changes settings of a session. @returns What they were. */
async function change(client: Client, settings: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const { rows } = await client.query<{ name: string; before: string; value: string }>(
    `select name, current_setting(name) as before, set_config(name, value, false) as value
     from unnest($1::text[], $2::text[]) as given (name, value)`,
    [Object.keys(settings), Object.values(settings)],
  );
  return Object.fromEntries(rows.map(({ name, before }) => [name, before]));
}

/** The schema of the tables and, where it is another one, that of the extension whose operators an index uses. */
async function pathOf(client: Client, schema: string): Promise<string> {
  const { rows } = await client.query<{ name: string }>(
    `select nspname as name from pg_extension join pg_namespace on pg_namespace.oid = extnamespace
     where extname = 'pg_trgm' and nspname <> $1`,
    [schema],
  );
  return [schema, ...rows.map(({ name }) => name)].map(escapeIdentifier).join(', ');
}

/** Remembers the first error that a client raised: node-pg-migrate throws others, some of them without their cause. */
function createWitness(client: Client): { client: Client; seen: () => unknown } {
  let seen: unknown;
  const query = (text: string, values?: unknown[]) =>
    client.query(text, values).catch((error: unknown) => {
      seen ??= error;
      throw error;
    });
  return { client: { query } as unknown as Client, seen: () => seen };
}

async function refuseUnsupported(client: Client): Promise<void> {
  const { rows } = await client.query<{ version: string; encoding: string; number: number }>(
    `select current_setting('server_version') as version, current_setting('server_encoding') as encoding,
       current_setting('server_version_num')::int as number`,
  );
  const [server] = rows;
  if (server === undefined || server.number < serverVersionMin) {
    throw new Failure('unsupported_database', `is PostgreSQL ${server?.version}; m2pg needs 14 or later`);
  }
  if (server.encoding !== 'UTF8') {
    throw new Failure('unsupported_database', `has encoding ${server.encoding}; m2pg needs UTF8`);
  }
}

/** Refuses a database that holds migrations which this program does not know. Runs none, and says so. */
export async function refuseNewer(client: Client): Promise<string[]> {
  const { rows: tables } = await client.query<{ found: boolean }>(`select to_regclass($1) is not null as found`, [
    migrationsTable,
  ]);
  if (!tables[0]?.found) return [];
  const ours = new Set(readdirSync(directory).map((file) => file.replace(/\.sql$/, '')));
  const { rows } = await client.query<{ name: string }>(`select name from ${migrationsTable} order by id`);
  const unknown = rows.find(({ name }) => !ours.has(name));
  if (unknown === undefined) return [];
  throw new Failure('schema_newer', `was migrated by a newer m2pg (${unknown.name} is unknown here); run that version`);
}
