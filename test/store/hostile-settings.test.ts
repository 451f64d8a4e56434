import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { v7 } from 'uuid';
import { expect, inject, onTestFinished, test } from 'vitest';
import { selectInSlices } from '../../src/commands/time-slices.ts';
import type { Database } from '../../src/database/database.ts';
import { rollUpOnce } from '../../src/database/roll-up.ts';
import type { Store } from '../../src/domain/store.ts';
import { type Summary, statisticNames } from '../../src/domain/summary.ts';
import { summaryToJson } from '../../src/domain/summary-json.ts';
import { verify } from '../../src/repair/verify.ts';
import { prepareCopies } from '../support/copies.ts';
import { freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { type Group, groupObviously, groupsOf } from '../support/group-obviously.ts';
import { bitsOf, day, monday } from '../support/packing.ts';
import { runProgram } from '../support/service-process.ts';
import { anySketch } from '../support/summaries.ts';

const server = () => new URL(inject('postgresUrl'));
const ignore = () => undefined;

type Settings = Readonly<Record<string, string>>;

/** What an operator may have set for a role or a database, for whatever reason: several at once, each kind twice. */
const hostile: Readonly<Record<string, Settings>> = {
  'commits and numbers': { synchronous_commit: 'off', extra_float_digits: '0', bytea_output: 'escape' },
  'fewer digits still': { extra_float_digits: '-15', client_encoding: 'LATIN1', array_nulls: 'off' },
  'times as in the USA': { datestyle: 'SQL, DMY', intervalstyle: 'sql_standard', timezone: 'America/New_York' },
  'times as elsewhere': { datestyle: 'German', timezone: 'Asia/Kathmandu', timezone_abbreviations: 'India' },
  'text and names': { standard_conforming_strings: 'off', backslash_quote: 'on', quote_all_identifiers: 'on' },
  XML: { xmloption: 'document', xmlbinary: 'hex' },
  'another meaning of null, and policies': { transform_null_equals: 'on', row_security: 'on' },
  'serializable transactions': { default_transaction_isolation: 'serializable', default_transaction_deferrable: 'on' },
  'repeatable reads': { default_transaction_isolation: 'repeatable read' },
  'reads that leave out rows': { gin_fuzzy_search_limit: '1', zero_damaged_pages: 'on', ignore_checksum_failure: 'on' },
  'views that cannot be read': { restrict_nonsystem_relation_kind: 'view' },
  'stricter functions': { 'plpgsql.extra_errors': 'all', 'plpgsql.extra_warnings': 'all' },
  'other functions': { 'plpgsql.variable_conflict': 'use_variable', 'plpgsql.check_asserts': 'off' },
  'sessions that end': { exit_on_error: 'on', idle_session_timeout: '50', idle_in_transaction_session_timeout: '1' },
  'statements that end': { statement_timeout: '20', lock_timeout: '1', transaction_timeout: '50' },
  'no triggers, and notices': { session_replication_role: 'replica', client_min_messages: 'debug5' },
  'a search_path with the catalogue at its end': { search_path: '"$user", public, pg_catalog' },
  'a search_path with other functions first': { search_path: 'public, shadow, pg_catalog' },
  // Left to the operator, since they change no value.
  'no indexes': { enable_indexscan: 'off', enable_bitmapscan: 'off', enable_hashagg: 'off' },
  'plans of another kind': {
    debug_parallel_query: 'on',
    plan_cache_mode: 'force_generic_plan',
    constraint_exclusion: 'on',
  },
  'little memory': { work_mem: '64kB', temp_buffers: '800kB', jit_above_cost: '0' },
};

/** Functions of our names that do something else, for a search_path that looks at them first. */
const shadow = `
  create schema shadow;
  create function shadow.date_part(text, timestamptz) returns double precision language sql as 'select 0::float8';
  create function shadow.to_timestamp(double precision) returns timestamptz language sql as $$select 'epoch'::timestamptz$$;
  create function shadow.now() returns timestamptz language sql as $$select 'epoch'::timestamptz$$`;

/** Any 64 bits that are a number m2pg takes. */
const anyBits = fc
  .bigInt({ min: 0n, max: 2n ** 64n - 1n })
  .map((bits) => Buffer.from(bits.toString(16).padStart(16, '0'), 'hex').readDoubleBE())
  .filter((value) => Math.abs(value) <= 1e300)
  .map((value) => value + 0);

const anySummary = fc
  .tuple(
    fc.constantFrom('a', 'ü.b', "o'clock\\n", '😀'),
    fc.integer({ min: 0, max: 4 * 3_600 * 1e6 }),
    fc.array(
      fc.oneof(anyBits, fc.constantFrom(0.1 + 0.2, 1 / 3, 5e-324, 2.2250738585072014e-308, 123456789.12345679)),
      {
        minLength: 7,
        maxLength: 7,
      },
    ),
    fc.oneof(
      fc.nat(1_000),
      fc.double({ min: 0, max: 2 ** 53, noNaN: true }).map((value) => value + 0),
    ),
    anySketch,
  )
  .map(([name, micros, values, count, sketch]): Summary => {
    const [, ...others] = statisticNames;
    const statistics = Object.fromEntries(others.map((statistic, index) => [statistic, values[index]]));
    const bucket = (monday * 1e6 + micros) / 1e6;
    return { id: v7(), name, bucket, count, ...statistics, ...(sketch.length > 0 && { sketch }) } as unknown as Summary;
  });

const everything = { namePattern: undefined, from: 0, to: 4e9 };

const byId = (summaries: readonly Summary[]) => summaries.toSorted((a, b) => (a.id < b.id ? -1 : 1));

const alter = (url: URL, action: string) => runSql(server(), `alter database ${url.pathname.slice(1)} ${action}`);

const set = (url: URL, name: string, value: string) =>
  alter(url, `set ${name} = ${name === 'search_path' ? value : `'${value}'`}`);

/** Rolls up and packs all that there is, by the sessions of m2pg. */
async function maintain(database: Database): Promise<void> {
  await rollUpOnce({ databases: [database], observe: ignore });
  for (;;) {
    const text = `select step from pack_summaries(now(), 'infinity', 50, 1)`;
    const { rows } = await database.query('maintain', { text });
    if (rows[0].step === 'idle') return;
  }
}

test.each(Object.entries(hostile))(
  'values come back bit for bit through write, read, repair, roll-up, pack and export, where the defaults are %s',
  async (_, settings) => {
    const { urls, databases, copies, observations, repair } = await prepareCopies(2, async ([changed]) => {
      if (changed === undefined) return;
      await runSql(changed, shadow);
      for (const [name, value] of Object.entries(settings)) await set(changed, name, value);
    });
    const [a, b] = databases as [Database, Database];
    expect([a.status().state, b.status().state]).toEqual(['up', 'up']);
    const [here, there] = [fc.sample(anySummary, 30), fc.sample(anySummary, 30)];
    await copies[0]?.store.write(here);
    expect(byId((await copies[0]?.store.select(everything))?.summaries ?? [])).toEqual(byId(here));
    await copies[1]?.store.write(there);
    await repair();
    await Promise.all([maintain(a), maintain(b)]);

    const all = byId([...here, ...there]);
    const query = {
      ...everything,
      resolution: { amount: 15, unit: 'minute' },
      timezone: 'UTC',
      namesMax: 100,
    } as const;
    const exported = all.map((summary) => JSON.parse(summaryToJson(summary)));
    for (const { store } of copies) {
      expect(await exportOf(store)).toEqual(exported);
      expect(byId((await store.select(everything)).summaries)).toEqual(all);
      const groups = await groupsOf(await store.aggregate(query));
      expect(groups.map(startOf)).toEqual(groupObviously(all, query).map(startOf));
    }
    const range = { from: monday, until: monday + day };
    for await (const { findings } of verify({ copies, namePattern: undefined, range, restMs: 20 })) {
      expect(findings).toEqual([]);
    }
    expect(observations.filter(({ type }) => /failed|quarantined|lost|recounted/.test(type))).toEqual([]);
    await alter(urls[0] as URL, 'reset all');
    expect(await bitsOf(urls[0] as URL)).toEqual(await bitsOf(urls[1] as URL));
  },
);

const startOf = ({ name, bucket, summaries }: Group) => `${name} ${bucket} ${summaries}`;

/** What the export prints, by id. */
async function exportOf(store: Store): Promise<unknown[]> {
  const found: Summary[] = [];
  for await (const { summaries } of selectInSlices(store, everything)) found.push(...summaries);
  return byId(found).map((summary) => JSON.parse(summaryToJson(summary)));
}

test('what is imported is exported bit for bit, by databases with all of those defaults at once', async () => {
  const urls = await Promise.all([freshDatabaseUrl({ isMigrated: false }), freshDatabaseUrl({ isMigrated: false })]);
  const all = Object.assign({}, ...Object.values(hostile)) as Settings;
  for (const url of urls) {
    await runSql(url, shadow);
    for (const [name, value] of Object.entries(all)) await set(url, name, value);
  }
  const lines = fc.sample(anySummary, 200).map(({ sketch: _, ...summary }) => summaryToJson(summary));
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-hostile-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'all.ndjson'), lines.join('\n'));
  const env = { DATABASE_URLS: urls.join('|') };
  const importing = runProgram(['import', join(folder, 'all.ndjson')], { env });
  expect([await importing.exited(), importing.output()]).toEqual([0, expect.stringContaining('200')]);
  for (const url of urls) {
    const exporting = runProgram(['export'], { env: { DATABASE_URLS: url.href } });
    expect(await exporting.exited()).toBe(0);
    const exported = exporting
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{"name'));
    expect(byId(exported.map((line) => JSON.parse(line)))).toEqual(byId(lines.map((line) => JSON.parse(line))));
  }
});
