import { randomUUID } from 'node:crypto';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { defaultSettings, guardedSettings, pinnedSettings } from '../../src/database/session-settings.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { summaryOf } from '../support/summaries.ts';

const ignore = () => undefined;
const server = () => new URL(inject('postgresUrl'));
const purposes = ['write', 'read', 'maintain', 'repair'] as const;

const alter = (url: URL, action: string) => runSql(server(), `alter database ${url.pathname.slice(1)} ${action}`);

/** Another value of each setting that m2pg depends on. */
const others: Readonly<Record<string, string>> = {
  synchronous_commit: 'off',
  extra_float_digits: '0',
  bytea_output: 'escape',
  client_encoding: 'LATIN1',
  datestyle: 'SQL, DMY',
  intervalstyle: 'iso_8601',
  timezone: 'Asia/Kathmandu',
  timezone_abbreviations: 'India',
  lc_time: 'POSIX',
  lc_numeric: 'POSIX',
  lc_monetary: 'POSIX',
  xmlbinary: 'hex',
  xmloption: 'document',
  standard_conforming_strings: 'off',
  backslash_quote: 'on',
  transform_null_equals: 'on',
  array_nulls: 'off',
  quote_all_identifiers: 'on',
  default_transaction_isolation: 'serializable',
  default_transaction_deferrable: 'on',
  row_security: 'on',
  gin_fuzzy_search_limit: '1',
  restrict_nonsystem_relation_kind: 'view',
  'plpgsql.extra_errors': 'all',
  'plpgsql.extra_warnings': 'all',
  'plpgsql.check_asserts': 'off',
  exit_on_error: 'on',
  lock_timeout: '1s',
  idle_session_timeout: '1min',
  transaction_timeout: '1min',
  client_min_messages: 'debug1',
  session_replication_role: 'replica',
  zero_damaged_pages: 'on',
  ignore_checksum_failure: 'on',
};

/** Settings of a session that change no value and end nothing: an operator may have reasons for each. */
const ofOperators = `
  role session_authorization default_transaction_read_only transaction_read_only transaction_isolation transaction_deferrable
  application_name search_path
  default_table_access_method default_tablespace default_toast_compression temp_tablespaces
  local_preload_libraries session_preload_libraries dynamic_library_path extension_control_path extension_destdir
  default_text_search_config icu_validation_level check_function_bodies createrole_self_grant event_triggers
  lo_compat_privileges allow_in_place_tablespaces allow_system_table_mods ignore_system_indexes post_auth_delay
  password_encryption scram_iterations md5_password_warnings escape_string_warning
  client_connection_check_interval tcp_user_timeout wal_sender_timeout
  plpgsql.print_strict_params plpgsql.variable_conflict max_stack_depth temp_file_limit deadlock_timeout
  work_mem hash_mem_multiplier maintenance_work_mem logical_decoding_work_mem temp_buffers vacuum_buffer_usage_limit
  effective_io_concurrency maintenance_io_concurrency io_combine_limit backend_flush_after file_copy_method
  commit_delay commit_siblings wal_compression wal_consistency_checking wal_init_zero wal_recycle wal_skip_threshold
  stats_fetch_consistency compute_query_id synchronize_seqscans gin_pending_list_limit constraint_exclusion
  cursor_tuple_fraction default_statistics_target from_collapse_limit join_collapse_limit plan_cache_mode
  recursive_worktable_factor random_page_cost seq_page_cost effective_cache_size update_process_title
  parallel_setup_cost parallel_tuple_cost parallel_leader_participation min_parallel_index_scan_size
  min_parallel_table_scan_size max_parallel_maintenance_workers max_parallel_workers max_parallel_workers_per_gather
  force_parallel_mode backtrace_functions lc_messages`.match(/\S+/g) as string[];
const ofOperatorsByPrefix = /^(enable|geqo|cpu|jit|log|debug|trace|track|vacuum)_|^(geqo|jit)$/;

const limits = ['statement_timeout', 'idle_in_transaction_session_timeout'];

test('every setting that a session of this server can have is decided upon: set, guarded, or left to the operator', async () => {
  const text = `select lower(name) as name from pg_settings
    where context in ('user', 'superuser', 'backend', 'superuser-backend') and name !~ '^m2pg\\.'`;
  const decided = new Set([
    ...[pinnedSettings, guardedSettings, defaultSettings].flatMap(Object.keys),
    ...ofOperators,
    ...limits,
  ]);
  const names = (await runSql(server(), text)).map(({ name }) => String(name));
  expect(names.length).toBeGreaterThan(100);
  expect(names.filter((name) => !decided.has(name) && !ofOperatorsByPrefix.test(name))).toEqual([]);
});

test('sets each of them, whatever the defaults of its database are, in sessions of every purpose', async () => {
  const settings = { ...pinnedSettings, ...guardedSettings };
  expect(Object.keys(others).toSorted()).toEqual(Object.keys(settings).toSorted());
  const url = await freshDatabaseUrl();
  const known = `select name from unnest($1::text[]) as given (name) where current_setting(name, true) is not null or name like 'plpgsql.%'`;
  const names = (await runSql(url, known, [Object.keys(others)])).map(({ name }) => String(name));
  for (const name of names) await alter(url, `set ${name} = '${others[name]}'`);
  const database = await freshDatabase({ url });
  expect(database.status().state).toBe('up');
  const text = 'select name, current_setting(name) as value from unnest($1::text[]) as given (name)';
  for (const purpose of purposes) {
    const { rows } = await database.query(purpose, { text, values: [names] });
    expect(Object.fromEntries(rows.map(({ name, value }) => [name, value]))).toEqual(
      Object.fromEntries(names.map((name) => [name, settings[name]])),
    );
  }
});

test('an acknowledged write is on disk, also when something else has changed its session', async () => {
  const url = await freshDatabaseUrl();
  const database = await freshDatabase({ url, poolSizeMax: 2 });
  const store = createPostgresStore({ database, observe: ignore });
  await store.write([summaryOf()]);
  await runSql(
    url,
    `create table commits (synchronous text);
     create function note_commit() returns trigger language plpgsql as
       $$begin insert into commits values (current_setting('synchronous_commit')); return null; end$$;
     create trigger note_commit after insert on summaries for each statement execute function note_commit()`,
  );
  await database.query('write', { text: 'set synchronous_commit = off' });
  const again = summaryOf();
  await store.write([summaryOf()]);
  await store.write([summaryOf({ units: 'ms' })]);
  // The second time it is known to be stored.
  await store.write([again]);
  await store.write([again]);
  const commits = await runSql(url, 'select distinct synchronous from commits');
  expect(commits).toEqual([{ synchronous: 'on' }]);
  expect((await database.query('write', { text: 'show synchronous_commit' })).rows).toEqual([
    { synchronous_commit: 'off' },
  ]);
});

/** A role that is no superuser, which owns a database of its own. */
async function ownedDatabase(): Promise<{ url: URL; role: string }> {
  const role = `role_${randomUUID().replaceAll('-', '')}`;
  await runSql(server(), `create role ${role} login password 'first'`);
  onTestFinished(() => runSql(server(), `drop role ${role}`).then(ignore));
  const url = await freshDatabaseUrl({ isMigrated: false });
  await alter(url, `owner to ${role}`);
  [url.username, url.password] = [role, 'first'];
  return { url, role };
}

test.each(Object.entries(guardedSettings))(
  'refuses a role that loses data unseen by its %s, which it cannot set to %s itself, and says what to run',
  async (name) => {
    const { url, role } = await ownedDatabase();
    await runSql(server(), `alter role ${role} set ${name} = '${others[name]}'`);
    const database = await freshDatabase({ url });
    expect(database.status()).toMatchObject({
      state: 'refused',
      lastFailure: {
        code: 'unsupported_database',
        message: expect.stringMatching(`has ${name} = ${others[name]} .*run ALTER ROLE "${role}" RESET ${name}, or`),
      },
    });
    await runSql(server(), `alter role ${role} reset ${name}`);
    await expect.poll(() => database.status().state, { timeout: 20_000 }).toBe('up');
  },
);

describe('the options of a URL', () => {
  const withOptions = (url: URL, options: string) => {
    const asked = new URL(url);
    asked.searchParams.set('options', options);
    return asked;
  };

  test('are set, spelled in any way that PostgreSQL takes, but not over what m2pg depends on', async () => {
    const options =
      '-c work_mem=5MB  --geqo-threshold=7 -csynchronous_commit=off -c statement_timeout=0 -c my.own=a\\ b';
    const database = await freshDatabase({ url: withOptions(await freshDatabaseUrl(), options) });
    const text = `select current_setting('work_mem') as memory, current_setting('geqo_threshold') as threshold,
      current_setting('synchronous_commit') as commits, current_setting('statement_timeout') as timeout,
      current_setting('my.own') as own`;
    for (const purpose of purposes) {
      const timeout = purpose === 'repair' ? '20s' : '30s';
      const expected = { memory: '5MB', threshold: '7', commits: 'on', timeout, own: 'a b' };
      expect((await database.query(purpose, { text })).rows).toEqual([expected]);
    }
  });

  test.each(['-c no_such_setting=1', '-c work_mem=much', '-c shared_buffers=1GB'])(
    'that the server does not take are told of: %s',
    async (options) => {
      const database = await freshDatabase({ url: withOptions(await freshDatabaseUrl(), options) });
      expect(database.status()).toMatchObject({
        state: 'refused',
        lastFailure: { code: 'unsupported_database', message: 'does not take the options of its URL' },
      });
    },
  );
});

describe('the tables are in one schema', () => {
  const schemasOf = async (url: URL) =>
    (
      await runSql(
        url,
        `select distinct nspname::text as name from pg_class join pg_namespace on pg_namespace.oid = relnamespace
         where relname in ('series', 'summaries', 'm2pg_migrations') order by 1`,
      )
    ).map(({ name }) => name);

  test('the first of the search_path that there is', async () => {
    const url = await freshDatabaseUrl({ isMigrated: false });
    await runSql(url, 'create schema "Odd, name"; create schema other');
    await alter(url, 'set search_path = missing, pg_catalog, "Odd, name", other, public');
    const database = await freshDatabase({ url });
    expect(database.status().state).toBe('up');
    const store = createPostgresStore({ database, observe: ignore });
    await store.write([summaryOf()]);
    expect((await store.select({ namePattern: undefined, from: 0, to: 4e9 })).summaries).toHaveLength(1);
    expect(await schemasOf(url)).toEqual(['Odd, name']);
  });

  test('and nothing is taken from another, where an older m2pg has left its own', async () => {
    const url = await freshDatabaseUrl();
    const old = await freshDatabase({ url });
    await createPostgresStore({ database: old, observe: ignore }).write([summaryOf({ name: 'old' })]);
    await runSql(url, 'create schema metrics');
    await alter(url, 'set search_path = metrics, public');
    const database = await freshDatabase({ url });
    const store = createPostgresStore({ database, observe: ignore });
    await store.write([summaryOf({ name: 'new' })]);
    const { summaries } = await store.select({ namePattern: undefined, from: 0, to: 4e9 });
    expect(summaries.map(({ name }) => name)).toEqual(['new']);
  });

  test('but the trigram index is made with the extension wherever that is', async () => {
    const url = await freshDatabaseUrl({ isMigrated: false });
    await runSql(url, 'create schema extensions; create extension pg_trgm schema extensions');
    expect((await freshDatabase({ url })).status().state).toBe('up');
    expect(await runSql(url, `select to_regclass('series_name_trigrams') is not null as made`)).toEqual([
      { made: true },
    ]);
  });

  test('in sessions that begin later, too, although the search_path has changed meanwhile', async () => {
    const url = await freshDatabaseUrl();
    const database = await freshDatabase({ url });
    await runSql(url, 'create schema metrics');
    await alter(url, 'set search_path = metrics');
    await createPostgresStore({ database, observe: ignore }).write([summaryOf()]);
    expect(await runSql(url, 'select count(*)::int as count from public.summaries')).toEqual([{ count: 1 }]);
  });
});
