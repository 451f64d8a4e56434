import { expect } from 'vitest';
import { rollUpOnce } from '../../src/database/roll-up.ts';
import type { DeletionRequest } from '../../src/domain/deletion.ts';
import type { Summary } from '../../src/domain/summary.ts';
import type { Copy } from '../../src/repair/copy.ts';
import { createDeleter } from '../../src/repair/deletions.ts';
import { verify } from '../../src/repair/verify.ts';
import type { Copies } from './copies.ts';
import { runSql } from './fresh-database.ts';
import { monday } from './packing.ts';
import { everySummary } from './stored.ts';

export const everything = { from: 0, to: 4e9 };

/** Deletes on some of the databases, as if the others were away. */
export function deleteOn(all: Copies, indices: readonly number[], request: DeletionRequest) {
  const copies = all.copies.filter((_, index) => indices.includes(index));
  return createDeleter({ copies, acks: 1 }).delete(request);
}

/** Stores summaries as if they had been received that long ago: by another process, or before something held them up. */
export async function writeLate(copy: Copy | undefined, summaries: readonly Summary[], agoMs: number): Promise<void> {
  const received = summaries.map((summary) => ({ summary, receivedAtMs: performance.now() - agoMs }));
  await copy?.store.copy(received, []);
}

/** What a database holds, packed or not: `name count` of each name. */
export async function namesIn(url: URL): Promise<string[]> {
  const text = `select name, count(*)::int as count from ${everySummary} group by 1 order by 1`;
  return (await runSql(url, text)).map(({ name, count }) => `${name} ${count}`);
}

/** Has what a database stored and what it deleted happen that many seconds earlier. */
export async function ageBy(url: URL, seconds: number): Promise<void> {
  const values = [seconds];
  await runSql(url, 'update summaries set arrived = arrived - make_interval(secs => $1)', values);
  await runSql(url, 'update packed_summaries set arrived = arrived - make_interval(secs => $1)', values);
  const earlier = (column: string) => `${column} = ${column} - make_interval(secs => $1)`;
  await runSql(url, `update deletions set ${['deleted_at', 'noted_at', 'applied_at'].map(earlier).join(', ')}`, values);
}

/** Has deletions noted and applied half a minute earlier, so that they settle when they are applied the next time. */
export async function ageDeletions(url: URL): Promise<void> {
  const earlier = (column: string) => `${column} = ${column} - interval '31 seconds'`;
  await runSql(url, `update deletions set ${['noted_at', 'applied_at'].map(earlier).join(', ')}`);
}

/** Digests and roll-ups are what is stored, and databases agree. */
export async function expectSound(all: Copies): Promise<void> {
  await rollUpOnce({ databases: all.databases, observe: () => undefined });
  const range = { from: monday - 86_400, until: Math.ceil(Date.now() / 3_600_000 + 26) * 3_600 };
  for await (const { findings } of verify({ copies: all.copies, namePattern: undefined, range, restMs: 20 })) {
    expect(findings).toEqual([]);
  }
}
