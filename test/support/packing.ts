import { expect } from 'vitest';
import { maintain } from '../../src/database/maintain.ts';
import { packOnce } from '../../src/database/pack.ts';
import { rollUpOnce } from '../../src/database/roll-up.ts';
import type { Observation } from '../../src/domain/observation.ts';
import { binsOf, sketchOf } from '../../src/domain/sketch.ts';
import type { Summary } from '../../src/domain/summary.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { withClock } from './clocks.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from './fresh-database.ts';
import { everySummary } from './stored.ts';
import { summaryOf } from './summaries.ts';

export const day = 86_400;
export const week = 7 * day;

/** The Monday five weeks ago: the first Monday was 1970-01-05. */
export const monday = Math.floor((Date.now() / 1000 - 4 * day) / week) * week + 4 * day - 5 * week;
export const mondayText = new Date(monday * 1000).toISOString().slice(0, 10);
export const partition = `summaries_${mondayText.replaceAll('-', '')}`;

/** A database with what writes, rolls up, packs and maintains it. */
export async function preparePacking() {
  const url = await freshDatabaseUrl();
  const database = await freshDatabase({ url });
  const observations: Observation[] = [];
  const observe = (observation: Observation) => void observations.push(observation);
  const store = createPostgresStore({ database, observe });
  const databases = [database];
  return {
    url,
    database,
    store,
    observations,
    rollUp: () => rollUpOnce({ databases, observe }),
    /** What the maintenance does, so many days from now. */
    pack(inDays: number, packAfterSeconds: number | 'never' = 2 * week) {
      const now = () => Date.now() / 1000 + inDays * day;
      return packOnce({
        databases: [withClock(database, now)],
        packAfterSeconds: packAfterSeconds === 'never' ? undefined : packAfterSeconds,
        now,
        observe,
      });
    },
    /** As an operator asks for it: however many weeks are past it. */
    retain: (retentionSeconds: number) => {
      const now = Date.now() / 1000;
      return maintain(database, { now, oldest: now - retentionSeconds, advanceSeconds: null }, observe);
    },
  };
}

/** So many minutes of two series in the old week. */
export const minutes = (count: number, offset = 0) =>
  Array.from({ length: count }, (_, index) =>
    ['a', 'b'].map((name) =>
      summaryOf({
        name,
        bucket: monday + offset + index * 60,
        mean: Math.random(),
        max: index / 100,
        // Of one of the two, and not of all of its summaries.
        ...(name === 'a' && index % 5 > 0 && { sketch: sketchOf(binsOf([index, Math.random()])) }),
      }),
    ),
  ).flat();

/** The same, with summaries that are written, rolled up and packed. */
export async function preparePacked(summaries: readonly Summary[]) {
  const prepared = await preparePacking();
  await prepared.store.write(summaries);
  await prepared.rollUp();
  await packAll(prepared.url);
  expect(await whereTheyAre(prepared.url)).toEqual({ rows: 0, packed: summaries.length });
  return prepared;
}

/** One step of packing, by default with batches as small as a test's; whatever is over, however lately it changed. */
export async function packStep(url: URL, summariesMax = 7): Promise<string> {
  const [row] = await runSql(url, `select step from pack_summaries(now(), 'infinity', $1, 1)`, [summariesMax]);
  return String(row?.step);
}

/** Takes steps until one is not of the given kinds, and gives that. */
export async function packWhile(
  url: URL,
  kinds: readonly string[] = ['begun', 'copied'],
  summariesMax?: number,
): Promise<string> {
  for (;;) {
    const step = await packStep(url, summariesMax);
    if (!kinds.includes(step)) return step;
  }
}

/** Packs everything that is rolled up. */
export async function packAll(url: URL): Promise<void> {
  const last = await packWhile(url, ['begun', 'copied', 'packed', 'folded']);
  if (last !== 'idle') throw new Error(`packing ended with ${last}`);
}

/** How many summaries are rows, and how many are in chunks that reads see. */
export async function whereTheyAre(url: URL): Promise<{ rows: number; packed: number }> {
  const text = `select (select count(*)::int from summaries) as rows,
    (select coalesce(sum(summaries), 0)::int from packed_chunks) as packed`;
  const [found] = await runSql(url, text);
  return found as { rows: number; packed: number };
}

/** Every stored summary to the last bit, in order; one that is stored twice is there twice. */
export async function bitsOf(url: URL): Promise<string[]> {
  const text = `
    select concat_ws(' ', name, stored.id, extract(epoch from bucket), encode(float8send(count) || float8send(mean)
      || float8send(median) || float8send(min) || float8send(max) || float8send(perc95) || float8send(perc99)
      || float8send(last) || sketch, 'hex')) as bits
    from ${everySummary}
    order by bits`;
  return (await runSql(url, text)).map(({ bits }) => String(bits));
}
