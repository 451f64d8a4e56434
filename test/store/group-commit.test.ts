import { expect, test } from 'vitest';
import { Failure } from '../../src/domain/failure.ts';
import type { Summary } from '../../src/domain/summary.ts';
import { createGroupCommit } from '../../src/store/group-commit.ts';
import { summaryOf } from '../support/summaries.ts';

const limits = { connections: 1, batchMax: 100, pendingMax: 1_000 };

/** A database that commits when it is told to, and remembers the names of each batch. */
function createSlowDatabase(refuses: (name: string) => boolean = () => false) {
  const batches: string[][] = [];
  const gate = Promise.withResolvers<void>();
  return {
    batches,
    async commit(summaries: readonly Summary[]) {
      batches.push(summaries.map(({ name }) => name));
      await gate.promise;
      if (summaries.some(({ name }) => refuses(name))) throw new Failure('data_refused', 'refused the data');
    },
    /** Lets what is under way, and all that follows, end. */
    open: () => gate.resolve(),
  };
}

const named = (...names: string[]) => names.map((name) => summaryOf({ name }));

test('commits the first write at once and, while that is under way, gathers the others for one transaction', async () => {
  const { commit, batches, open } = createSlowDatabase();
  const queue = createGroupCommit({ ...limits, commit });
  const writes = [queue.write(named('a')), queue.write(named('b', 'c')), queue.write(named('d'))];
  expect(batches).toEqual([['a']]);
  open();
  await Promise.all(writes);
  expect(batches).toEqual([['a'], ['b', 'c', 'd']]);
});

test('uses every connection that is free', () => {
  const { commit, batches } = createSlowDatabase();
  const queue = createGroupCommit({ ...limits, connections: 2, commit });
  for (const name of ['a', 'b', 'c']) void queue.write(named(name));
  expect(batches).toEqual([['a'], ['b']]);
});

test('puts no more into a batch than the cap, but a single write that is larger goes whole', async () => {
  const { commit, batches, open } = createSlowDatabase();
  const queue = createGroupCommit({ ...limits, batchMax: 2, commit });
  const writes = [['a'], ['b'], ['c'], ['d', 'e', 'f'], ['g']].map((names) => queue.write(named(...names)));
  open();
  await Promise.all(writes);
  expect(batches).toEqual([['a'], ['b', 'c'], ['d', 'e', 'f'], ['g']]);
});

test('fails the one write whose data is refused, and none of its neighbours', async () => {
  const { commit, open } = createSlowDatabase((name) => name === 'bad');
  const queue = createGroupCommit({ ...limits, commit });
  const names = ['first', 'a', 'b', 'bad', 'c', 'd'];
  const writes = names.map((name) => queue.write(named(name)));
  open();
  const settled = await Promise.allSettled(writes);
  expect(settled.map(({ status }) => status === 'fulfilled')).toEqual([true, true, true, false, true, true]);
  expect(settled[3]).toMatchObject({ reason: { code: 'data_refused' } });
});

test('refuses at once what would exceed the bound of what is pending, and takes more when that is done', async () => {
  const { commit, open } = createSlowDatabase();
  const queue = createGroupCommit({ ...limits, pendingMax: 3, commit });
  const writes = [queue.write(named('a')), queue.write(named('b', 'c'))];
  await expect(queue.write(named('d'))).rejects.toMatchObject({ code: 'queue_full' });
  open();
  await Promise.all(writes);
  await expect(queue.write(named('d'))).resolves.toBeUndefined();
});

test('has drained when nothing is waiting or under way', async () => {
  const { commit, open, batches } = createSlowDatabase();
  const queue = createGroupCommit({ ...limits, commit });
  for (const name of ['a', 'b']) void queue.write(named(name));
  let isDrained = false;
  const drained = queue.drain().then(() => {
    isDrained = true;
  });
  await Promise.resolve();
  expect(isDrained).toBe(false);
  open();
  await drained;
  expect(batches).toEqual([['a'], ['b']]);
});
