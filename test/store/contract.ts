import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Store } from '../../src/domain/store.ts';
import type { Summary } from '../../src/domain/summary.ts';
import { anySummary, summaryOf } from '../support/summaries.ts';

const everything = { namePattern: undefined, from: 0, to: 4e9 };

const byId = (summaries: readonly Summary[]) => summaries.toSorted((a, b) => (a.id < b.id ? -1 : 1));

/** What every store promises, the fake included, so that tests with the fake tell the truth. */
export function describeStoreContract(name: string, createStore: () => Promise<Store> | Store): void {
  describe(`${name} as a store`, () => {
    test('gives back what was written, every statistic to the last bit', async () => {
      const store = await createStore();
      const summaries = [summaryOf(), summaryOf({ name: 'ünïcode ✓ "quoted" \\back', mean: 0.1 + 0.2, min: -1e300 })];
      await store.write(summaries);
      const { summaries: found, complete } = await store.select(everything);
      expect(byId(found)).toEqual(byId(summaries));
      expect(complete).toBe(true);
    });

    test('gives back any summaries', async () => {
      const store = await createStore();
      const written = new Map<string, Summary>();
      const batches = fc.array(anySummary(Date.now() / 1000), { maxLength: 20 });
      await fc.assert(
        fc.asyncProperty(batches, async (batch) => {
          await store.write(batch);
          for (const summary of batch) if (!written.has(summary.id)) written.set(summary.id, summary);
          const { summaries } = await store.select(everything);
          expect(byId(summaries)).toEqual(byId([...written.values()]));
        }),
        { numRuns: 25 },
      );
    });

    test('stores an id once, however often it is written, also within one batch', async () => {
      const store = await createStore();
      const summary = summaryOf();
      await store.write([summary, summary]);
      await store.write([summary]);
      await Promise.all([store.write([summary]), store.write([summary])]);
      expect((await store.select(everything)).summaries).toEqual([summary]);
    });

    test('keeps the fraction of a bucket to the microsecond', async () => {
      const store = await createStore();
      const bucket = Math.floor(Date.now() / 1000) + 0.123456;
      await store.write([summaryOf({ bucket })]);
      expect((await store.select(everything)).summaries[0]?.bucket).toBe(bucket);
    });

    test('includes both ends of the range', async () => {
      const store = await createStore();
      const from = Math.floor(Date.now() / 1000) - 100;
      const summaries = [-1, 0, 1, 10, 11].map((offset) => summaryOf({ bucket: from + offset }));
      await store.write(summaries);
      const { summaries: found } = await store.select({ ...everything, from, to: from + 10 });
      expect(byId(found)).toEqual(byId(summaries.slice(1, 4)));
    });

    test('finds by pattern, anywhere in the name unless anchored', async () => {
      const store = await createStore();
      await store.write(['foo.web', 'foo.db', 'bar.web'].map((metric) => summaryOf({ name: metric })));
      const namesOf = async (namePattern: string) =>
        (await store.select({ ...everything, namePattern })).summaries.map((summary) => summary.name).toSorted();
      expect(await namesOf('web')).toEqual(['bar.web', 'foo.web']);
      expect(await namesOf('^foo\\.')).toEqual(['foo.db', 'foo.web']);
      expect(await namesOf('(db|bar)')).toEqual(['bar.web', 'foo.db']);
      expect(await namesOf('nothing')).toEqual([]);
    });

    test('stores many new names and weeks in one batch', async () => {
      const store = await createStore();
      const now = Math.floor(Date.now() / 1000);
      const summaries = Array.from({ length: 500 }, (_, index) =>
        summaryOf({ name: `metric.${index % 50}`, bucket: now - index * 21_600 }),
      );
      await store.write(summaries);
      expect((await store.select(everything)).summaries).toHaveLength(500);
    });

    test('tells the units of those series that have any', async () => {
      const store = await createStore();
      await store.write([
        summaryOf({ name: 'a', units: 'ms' }),
        summaryOf({ name: 'b' }),
        summaryOf({ name: 'c', units: 'MB' }),
      ]);
      expect([...(await store.units(['a', 'b', 'd']))]).toEqual([['a', 'ms']]);
      expect([...(await store.units([]))]).toEqual([]);
    });

    test('takes concurrent writes of the same new names', async () => {
      const store = await createStore();
      const batches = Array.from({ length: 8 }, (_, batch) =>
        Array.from({ length: 20 }, (_, index) => summaryOf({ name: `new.${(index * 7 + batch) % 20}` })),
      );
      await Promise.all(batches.map((batch) => store.write(batch)));
      expect((await store.select(everything)).summaries).toHaveLength(160);
    });
  });
}
