import { describe, expect, test } from 'vitest';
import type { Observation } from '../../src/domain/observation.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { createRedundantStore } from '../../src/store/redundant-store.ts';
import { prepareCopies } from '../support/copies.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { summaryOf } from '../support/summaries.ts';

/** As an operator would who wants no counts of a thousand. */
const constrain = (url: URL) => runSql(url, 'alter table summaries add constraint modest check (count < 1000)');

const idsIn = async (url: URL) => (await runSql(url, 'select id from summaries')).map(({ id }) => id).toSorted();
const quarantineOf = (url: URL) => runSql(url, 'select id, summary, error from quarantine order by refused_at');

const good = () => summaryOf({ count: 1 });
const poison = () => summaryOf({ count: 5_000 });
const idsOf = (...summaries: readonly { id: string }[]) => summaries.map(({ id }) => id).toSorted();

describe('one database that refuses a summary', () => {
  test('stores its neighbours, of other writes and of the same, and keeps it in quarantine with the error', async () => {
    const url = await freshDatabaseUrl();
    await constrain(url);
    const observations: Observation[] = [];
    const store = createPostgresStore({
      database: await freshDatabase({ url }),
      observe: (observation) => observations.push(observation),
    });
    const [a, b, c, bad] = [good(), good(), good(), poison()];
    const [first, second] = await Promise.allSettled([store.write([a]), store.write([b, bad, c])]);
    expect(first?.status).toBe('fulfilled');
    expect(second).toMatchObject({ reason: { code: 'data_refused', problems: [{ path: '1' }] } });
    expect(await idsIn(url)).toEqual(idsOf(a, b, c));
    expect(await quarantineOf(url)).toEqual([{ id: bad.id, summary: bad, error: expect.stringContaining('modest') }]);
    expect(observations).toContainEqual(expect.objectContaining({ type: 'quarantined', database: 'db1', id: bad.id }));
    await expect(store.write([bad])).rejects.toMatchObject({ code: 'data_refused' });
    expect(await quarantineOf(url)).toHaveLength(1);
    await expect(store.write([good()])).resolves.toMatchObject({ copies: 1 });
  });

  test('by a unique index of its operator, takes no refusal for what is stored, also when it is sent again', async () => {
    const url = await freshDatabaseUrl();
    const store = createPostgresStore({ database: await freshDatabase({ url }), observe: () => undefined });
    await store.write([good()]);
    await runSql(url, 'truncate summaries; create unique index one_a_bucket on summaries (series_id, bucket)');
    const [a, b, c] = [good(), summaryOf({ name: 'other' }), summaryOf({ name: 'third' })];
    const twin = summaryOf({ bucket: a.bucket, count: 2 });
    await expect(store.write([a, twin, b])).rejects.toMatchObject({ code: 'data_refused', problems: [{ path: '1' }] });
    expect(await idsIn(url)).toEqual(idsOf(a, b));
    await expect(store.write([a, b, twin, c])).rejects.toMatchObject({
      code: 'data_refused',
      problems: [{ path: '2' }],
    });
    expect(await idsIn(url)).toEqual(idsOf(a, b, c));
    expect(await quarantineOf(url)).toEqual([{ id: twin.id, summary: twin, error: expect.stringContaining('bucket') }]);
    await expect(store.write([a, b, c])).resolves.toMatchObject({ copies: 1 });
  });

  test.each(['P0001', 'ZX001'])('by a trigger that raises %s, stores the others', async (sqlstate) => {
    const url = await freshDatabaseUrl();
    const store = createPostgresStore({ database: await freshDatabase({ url }), observe: () => undefined });
    await runSql(
      url,
      `create function refuse() returns trigger language plpgsql as
         $$begin raise exception 'too many' using errcode = '${sqlstate}'; end$$;
       create trigger refuse before insert on summaries for each row when (new.count > 1000) execute function refuse()`,
    );
    const [a, bad, b] = [good(), poison(), good()];
    await expect(store.write([a, bad, b])).rejects.toMatchObject({ code: 'data_refused', problems: [{ path: '1' }] });
    expect(await idsIn(url)).toEqual(idsOf(a, b));
    expect(await quarantineOf(url)).toMatchObject([{ id: bad.id }]);
    await expect(store.write([good()])).resolves.toMatchObject({ copies: 1 });
  });

  test('by a unique index on the names, stores the others', async () => {
    const url = await freshDatabaseUrl();
    const store = createPostgresStore({ database: await freshDatabase({ url }), observe: () => undefined });
    await runSql(url, 'create unique index one_spelling on series (lower(name))');
    const [a, shouted, b] = [good(), summaryOf({ name: good().name.toUpperCase() }), summaryOf({ name: 'other' })];
    await expect(store.write([a, shouted, b])).rejects.toMatchObject({ problems: [{ path: '1' }] });
    expect(await idsIn(url)).toEqual(idsOf(a, b));
  });

  test('keeps the newest ten thousand of them', async () => {
    const url = await freshDatabaseUrl();
    await runSql(
      url,
      `insert into quarantine select gen_random_uuid(), '{}', 'old', now() - n * interval '1 second' from generate_series(1, 10000) n`,
    );
    await runSql(url, `select quarantine_summary(gen_random_uuid(), '{}', 'new')`);
    const [row] = await runSql(
      url,
      `select count(*)::int as count, bool_or(error = 'new') as "hasNew" from quarantine`,
    );
    expect(row).toEqual({ count: 10_000, hasNew: true });
  });
});

describe('several databases', () => {
  async function prepare(constrained: readonly number[], acks = 1) {
    const all = await prepareCopies(2);
    for (const index of constrained) await constrain(all.urls[index] as URL);
    const store = createRedundantStore({
      databases: all.databases.map((database) => ({
        name: database.name,
        store: createPostgresStore({ database, observe: () => undefined }),
      })),
      acks,
      writeTimeoutMs: 20_000,
      readTimeoutMs: 20_000,
      observe: () => undefined,
    });
    return { ...all, store };
  }

  test('take a summary when one of them does, and repair neither fails nor ends because of the other', async () => {
    const all = await prepare([1]);
    const [a, bad] = [good(), poison()];
    const { settled } = await all.store.write([a, bad]);
    await settled;
    const late = good();
    await all.copies[0]?.store.write([late]);
    await all.repair();
    expect(await idsIn(all.urls[0] as URL)).toEqual(idsOf(a, bad, late));
    expect(await idsIn(all.urls[1] as URL)).toEqual(idsOf(a, late));
    expect(await quarantineOf(all.urls[1] as URL)).toMatchObject([{ id: bad.id }]);
    expect(all.observations.filter(({ type }) => type === 'repair_failed')).toEqual([]);
  });

  test('refuse what all of them refuse for good, and name it: to send it again would not help', async () => {
    const { store } = await prepare([0, 1]);
    const refused = store.write([good(), poison(), good()]);
    await expect(refused).rejects.toMatchObject({ code: 'summaries_refused', problems: [{ path: '1' }] });
  });

  test('refuse for good what too many refuse for WRITE_ACKS', async () => {
    const { store } = await prepare([1], 2);
    await expect(store.write([poison()])).rejects.toMatchObject({ code: 'summaries_refused' });
  });
});
