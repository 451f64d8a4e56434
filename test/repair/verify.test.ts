import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { rollUpOnce } from '../../src/database/roll-up.ts';
import type { Store } from '../../src/domain/store.ts';
import type { Copy } from '../../src/repair/copy.ts';
import { type Finding, type VerifiedDay, verify } from '../../src/repair/verify.ts';
import { type Copies, prepareCopies } from '../support/copies.ts';
import { runSql } from '../support/fresh-database.ts';
import { minutes, monday, mondayText, packAll, partition } from '../support/packing.ts';
import { summaryOf } from '../support/summaries.ts';

const range = { from: monday - 86_400, until: Math.ceil(Date.now() / 3_600_000) * 3_600 };

async function findingsOf({ copies }: Copies, namePattern?: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const day of verify({ copies, namePattern, range, restMs: 20 })) findings.push(...day.findings);
  return findings;
}

/** Two databases with the same two hours of two series, rolled up. */
async function prepareEqual() {
  const all = await prepareCopies(2);
  const summaries = minutes(120);
  for (const { store } of all.copies) await store.write(summaries);
  await rollUpOnce({ databases: all.databases, observe: () => undefined });
  const [a, b] = all.urls as [URL, URL];
  return { ...all, a, b, summaries };
}

test('finds nothing where databases agree, one of them packed; counts by hour', async () => {
  const all = await prepareEqual();
  await packAll(all.b);
  const days: VerifiedDay[] = [];
  for await (const day of verify({ copies: all.copies, namePattern: undefined, range, restMs: 20 })) days.push(day);
  expect(days.flatMap(({ findings }) => findings)).toEqual([]);
  expect(days.flatMap(({ hours }) => [...hours])).toEqual([
    [monday, [120, 120]],
    [monday + 3_600, [120, 120]],
  ]);
});

test('finds a value that was changed by hand, tells the id and both values, and changes nothing', async () => {
  const all = await prepareEqual();
  const [summary] = all.summaries;
  // Neither ids nor digests change.
  await runSql(all.b, 'update summaries set mean = 42 where id = $1', [summary?.id]);
  const difference = `mean is ${summary?.mean} in db1, 42 in db2`;
  expect(await findingsOf(all)).toEqual([{ type: 'content', hour: monday, name: 'a', id: summary?.id, difference }]);
  await all.repair();
  expect(await runSql(all.b, 'select mean from summaries where id = $1', [summary?.id])).toEqual([{ mean: 42 }]);
  expect(await findingsOf(all, '^b$')).toEqual([]);
});

test('finds a sketch that was changed or lost', async () => {
  const all = await prepareEqual();
  const [changed, lost] = all.summaries.filter(({ sketch }) => sketch !== undefined);
  const hexOf = (summary: typeof lost) => Buffer.from(summary?.sketch ?? []).toString('hex');
  await runSql(all.b, `update summaries set sketch = '\\x0101' where id = $1`, [changed?.id]);
  await runSql(all.b, `update summaries set sketch = '' where id = $1`, [lost?.id]);
  expect(await findingsOf(all)).toMatchObject([
    { type: 'content', id: changed?.id, difference: `sketch is ${hexOf(changed)} in db1, 0101 in db2` },
    { type: 'content', id: lost?.id, difference: `sketch is ${hexOf(lost)} in db1, none in db2` },
  ]);
});

test('finds the last bit of a value that was changed in a packed week', async () => {
  const all = await prepareEqual();
  for (const url of [all.a, all.b]) await packAll(url);
  await runSql(all.b, `select unpack_week('${mondayText}')`);
  await runSql(all.b, `update summaries set last = last + 4e-16 where bucket = to_timestamp($1)`, [monday]);
  expect(await findingsOf(all)).toMatchObject([
    { type: 'content', name: 'a' },
    { type: 'content', name: 'b' },
  ]);
});

test('finds what was deleted by hand, which repair then copies', async () => {
  const all = await prepareEqual();
  await runSql(all.b, `delete from ${partition} where bucket = to_timestamp($1)`, [monday + 60]);
  expect(await findingsOf(all)).toMatchObject([
    { type: 'missing', name: 'a', in: ['db2'] },
    { type: 'missing', name: 'b', in: ['db2'] },
  ]);
  await all.repair();
  expect(await findingsOf(all)).toEqual([]);
});

test('finds digests and roll-ups that are not what is stored', async () => {
  const all = await prepareEqual();
  await runSql(all.a, 'update digests set hash = hash # 1 where slice = to_timestamp($1)', [monday]);
  await runSql(all.b, 'delete from hourly_rollups where start = to_timestamp($1)', [monday + 3_600]);
  expect(await findingsOf(all)).toEqual([
    { type: 'digest', hour: monday, in: 'db1' },
    { type: 'roll-up', hour: monday + 3_600, in: 'db2' },
  ]);
});

test('of decades without summaries reads digests and roll-ups only, and finds those that tell of any', async () => {
  const all = await prepareEqual();
  const old = [0, Date.UTC(1995, 4, 1) / 1000].map((bucket) => summaryOf({ name: 'a', bucket }));
  for (const { store } of all.copies) await store.write(old);
  await rollUpOnce({ databases: all.databases, observe: () => undefined });
  const since1970 = { ...range, from: 0 };
  const days: VerifiedDay[] = [];
  for await (const day of verify({ copies: all.copies, namePattern: undefined, range: since1970, restMs: 20 }))
    days.push(day);
  expect(days.flatMap(({ hours, findings }) => [...hours.values(), ...findings])).toEqual([
    [1, 1],
    [1, 1],
    [120, 120],
    [120, 120],
  ]);
  expect(days.length).toBeLessThan(200);

  const hour = Date.UTC(1980) / 1000;
  await runSql(all.a, 'insert into digests (slice, summaries, hash) values (to_timestamp($1), 1, 2)', [hour]);
  await runSql(all.b, 'update hourly_rollups set start = to_timestamp($1) where start = to_timestamp($2)', [
    hour,
    old[1]?.bucket,
  ]);
  const findings: Finding[] = [];
  for await (const day of verify({ copies: all.copies, namePattern: undefined, range: since1970, restMs: 20 }))
    findings.push(...day.findings);
  expect(findings).toEqual([
    { type: 'digest', hour, in: 'db1' },
    { type: 'roll-up', hour, in: 'db2' },
    { type: 'roll-up', hour: old[1]?.bucket, in: 'db2' },
  ]);
});

test('tells nothing wrong of what is written meanwhile, into hours that are over', async () => {
  const all = await prepareEqual();
  const [lost] = all.summaries;
  await runSql(all.b, 'delete from summaries where id = $1', [lost?.id]);
  const writeToAll = async () => {
    const summary = summaryOf({ name: 'a', bucket: monday + 90 });
    await Promise.all(all.copies.map(({ store }) => store.write([summary])));
  };
  const copies = all.copies.map((copy, index): Copy => {
    // Between what is counted and what is kept, and between one database and the next.
    const query: Database['query'] = async (purpose, statement) => {
      await writeToAll();
      return copy.database.query(purpose, statement);
    };
    const selectSpans: Store['selectSpans'] = async (spans) => {
      if (index === 1) await sleep(100).then(writeToAll);
      return copy.store.selectSpans(spans);
    };
    return { ...copy, database: { ...copy.database, query }, store: { ...copy.store, selectSpans } };
  });
  expect(await findingsOf({ ...all, copies })).toEqual([
    { type: 'missing', hour: monday, name: 'a', id: lost?.id, in: ['db2'] },
  ]);
});
