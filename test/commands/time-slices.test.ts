import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Slice, selectInSlices } from '../../src/commands/time-slices.ts';
import { Failure } from '../../src/domain/failure.ts';
import type { SummaryQuery } from '../../src/domain/store.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { summaryOf } from '../support/summaries.ts';

/** A store that gives no more than so many summaries at once. */
function limited(rowsMax: number) {
  const memory = createMemoryStore();
  const asked: SummaryQuery[] = [];
  const select = async (query: SummaryQuery) => {
    asked.push(query);
    const selection = await memory.select(query);
    if (selection.summaries.length > rowsMax) throw new Failure('read_too_large', 'too many');
    return selection;
  };
  return { memory, asked, select };
}

async function readAll(store: Parameters<typeof selectInSlices>[0], from: number, to: number): Promise<Slice[]> {
  const slices: Slice[] = [];
  for await (const slice of selectInSlices(store, { namePattern: undefined, from, to })) slices.push(slice);
  return slices;
}

const everyBucket = fc.oneof(
  fc.integer({ min: 0, max: 4_000 }),
  fc.integer({ min: 0, max: 1_700_000_000 }),
  fc.integer({ min: 0, max: 60_000_000 }).map((micros) => micros / 1e6),
);

test('gives every summary of the range once, in order, whatever fits at once', async () => {
  const anyRange = fc.record({ from: everyBucket, to: everyBucket });
  const anyBuckets = fc.uniqueArray(everyBucket, { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(anyBuckets, anyRange, fc.integer({ min: 1, max: 20 }), async (buckets, { from, to }, rowsMax) => {
      const { memory, select } = limited(rowsMax);
      await memory.write(buckets.map((bucket) => summaryOf({ bucket })));
      const slices = await readAll({ select }, from, to);
      const found = slices.map(({ summaries }) => summaries.map(({ bucket }) => bucket).toSorted((a, b) => a - b));
      const wanted = buckets.filter((bucket) => bucket >= from && bucket <= to).toSorted((a, b) => a - b);
      expect(found.flat()).toEqual(wanted);
    }),
    { numRuns: 100 },
  );
});

test('asks rarely where there is little', async () => {
  const { memory, asked, select } = limited(500_000);
  await memory.write([summaryOf({ bucket: 1_700_000_000 })]);
  await readAll({ select }, 0, 1_800_000_000);
  expect(asked.length).toBeLessThan(30);
});

test('asks for less at once where there is much', async () => {
  const { memory, asked, select } = limited(500_000);
  await memory.write(Array.from({ length: 100_000 }, (_, index) => summaryOf({ bucket: index })));
  const slices = await readAll({ select }, 0, 100_000);
  const sizes = slices.map(({ summaries }) => summaries.length);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(40_000);
  expect(asked.length).toBeLessThan(12);
});

test('an instant that holds too much is a failure', async () => {
  const { memory, select } = limited(2);
  await memory.write([1, 2, 3].map(() => summaryOf({ bucket: 1_000 })));
  await expect(readAll({ select }, 0, 2_000)).rejects.toMatchObject({ code: 'read_too_large' });
});

test('any other failure is the end', async () => {
  const memory = createMemoryStore();
  memory.failure = new Failure('no_database', 'no database answered');
  await expect(readAll(memory, 0, 2_000)).rejects.toBe(memory.failure);
});
