import fc from 'fast-check';
import { expect, test } from 'vitest';
import { runSql } from '../support/fresh-database.ts';
import {
  bitsOf,
  minutes,
  monday,
  mondayText,
  packAll,
  packStep,
  packWhile,
  preparePacked,
  preparePacking,
  whereTheyAre,
} from '../support/packing.ts';
import { everySummary } from '../support/stored.ts';
import { summaryOf } from '../support/summaries.ts';

/** In Unix seconds, by id. */
async function arrivalsIn(url: URL): Promise<Map<string, number>> {
  const text = `select stored.id, date_part('epoch', arrived) as arrived from ${everySummary} order by id`;
  return new Map((await runSql(url, text)).map(({ id, arrived }) => [String(id), Number(arrived)]));
}

const setArrival = 'update summaries set arrived = to_timestamp($2::float8) where id = $1';

const anyArrival = fc.oneof(
  fc.constant(Number.NEGATIVE_INFINITY),
  fc.constant(monday + 7.25),
  fc.integer({ min: monday * 1e3, max: monday * 1e3 + 2e9 }).map((ms) => ms / 1e3),
  fc.constantFrom(monday - 2e9, monday + 1.5e9),
);

test('arrivals come back at most a second later, packed and unpacked again, and as they were where all are the same', async () => {
  const { url, store, rollUp } = await preparePacking();
  const anyArrivals = fc.oneof(
    fc.array(anyArrival, { minLength: 2, maxLength: 12 }),
    anyArrival.map((one) => new Array(5).fill(one) as number[]),
  );
  await fc.assert(
    fc.asyncProperty(anyArrivals, async (arrivals) => {
      await runSql(url, 'truncate summaries');
      const summaries = arrivals.map((_, index) => summaryOf({ name: 'a', bucket: monday + index * 60 }));
      await store.write(summaries);
      for (const [index, { id }] of summaries.entries()) await runSql(url, setArrival, [id, arrivals[index]]);
      const expectRounded = (found: ReadonlyMap<string, number>) => {
        const areSame = arrivals.every((arrived) => arrived === arrivals[0]);
        summaries.forEach(({ id }, index) => {
          const [given = Number.NaN, kept = Number.NaN] = [arrivals[index], found.get(id)];
          if (areSame || given === Number.NEGATIVE_INFINITY) expect(kept).toBe(given);
          expect(kept).toBeGreaterThanOrEqual(given);
          if (Number.isFinite(given)) expect(kept - given).toBeLessThan(1);
        });
      };
      await rollUp();
      await packAll(url);
      expect(await whereTheyAre(url)).toEqual({ rows: 0, packed: summaries.length });
      expectRounded(await arrivalsIn(url));
      await runSql(url, 'select unpack_week($1)', [mondayText]);
      expect(await whereTheyAre(url)).toEqual({ rows: summaries.length, packed: 0 });
      expectRounded(await arrivalsIn(url));
    }),
    { numRuns: 25 },
  );
}, 120_000);

const noted = 'select count(*)::int as noted from packed_arrivals';

test('a packed summary that is sent again counts as received again, and what notes it is folded into its chunk', async () => {
  const summaries = minutes(30);
  const { url, store, pack } = await preparePacked(summaries);
  await runSql(url, "update packed_summaries set arrived = now() - interval '1 hour', lags = null");
  const before = await bitsOf(url);
  const again = summaries.filter((_, index) => index % 3 === 0);
  const sentAt = Date.now() / 1_000;
  await store.write(again);
  // Twice within moments.
  await store.write(again);
  const expectMoved = async () => {
    const arrivals = await arrivalsIn(url);
    summaries.forEach(({ id }, index) => {
      const ago = sentAt - (arrivals.get(id) ?? Number.NaN);
      if (index % 3 === 0) expect(Math.abs(ago)).toBeLessThan(30);
      else expect(ago).toBeGreaterThan(3_000);
    });
  };
  expect(await runSql(url, noted)).toEqual([{ noted: again.length }]);
  await expectMoved();

  await pack(0);
  expect(await runSql(url, noted)).toEqual([{ noted: 0 }]);
  await expectMoved();
  expect(await bitsOf(url)).toEqual(before);
  expect(await whereTheyAre(url)).toEqual({ rows: 0, packed: summaries.length });
});

test('what notes that packed summaries were sent again goes with their chunks, and stays when they are unpacked', async () => {
  const summaries = minutes(30);
  const { url, store, rollUp, retain } = await preparePacked(summaries);
  const send = async () => {
    await runSql(url, "update packed_summaries set arrived = '-infinity', lags = null");
    await store.write(summaries);
    expect(await runSql(url, noted)).toEqual([{ noted: summaries.length }]);
  };
  await send();
  await runSql(url, 'select unpack_week($1)', [mondayText]);
  expect(await runSql(url, noted)).toEqual([{ noted: 0 }]);
  expect([...(await arrivalsIn(url)).values()].every((arrived) => arrived > monday)).toBe(true);

  await rollUp();
  await packAll(url);
  await send();
  await retain(7 * 86_400);
  expect(await runSql(url, noted)).toEqual([{ noted: 0 }]);
});

test('that something was sent again while its week is being packed is not lost', async () => {
  const summaries = minutes(10);
  const { url, store, rollUp } = await preparePacking();
  await store.write(summaries);
  await runSql(url, "update summaries set arrived = now() - interval '1 hour'");
  await rollUp();
  expect([await packStep(url), await packStep(url)]).toEqual(['begun', 'copied']);
  const sentAt = Date.now() / 1_000;
  await store.write(summaries);
  await rollUp();
  expect(await packWhile(url)).toBe('changed');
  await packAll(url);
  expect(await whereTheyAre(url)).toEqual({ rows: 0, packed: summaries.length });
  for (const arrived of (await arrivalsIn(url)).values()) expect(Math.abs(arrived - sentAt)).toBeLessThan(30);
});
