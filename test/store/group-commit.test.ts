import { expect, test } from 'vitest';
import { Failure } from '../../src/domain/failure.ts';
import type { Summary } from '../../src/domain/summary.ts';
import { createGroupCommit } from '../../src/store/group-commit.ts';
import { summaryOf } from '../support/summaries.ts';

const limits = { connections: 1, pendingMin: 0, batchMax: 100, pendingMax: 1_000, sketchBytesMax: 1_000 };

const endOfTurn = () => new Promise((resolve) => setImmediate(resolve));

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

test('commits together what one turn brought and, while that is under way, gathers the others', async () => {
  const { commit, batches, open } = createSlowDatabase();
  const queue = createGroupCommit({ ...limits, commit });
  const writes = [queue.write(named('a')), queue.write(named('b', 'c'))];
  await endOfTurn();
  expect(batches).toEqual([['a', 'b', 'c']]);
  for (const name of ['d', 'e']) {
    writes.push(queue.write(named(name)));
    await endOfTurn();
  }
  expect(batches).toEqual([['a', 'b', 'c']]);
  open();
  await Promise.all(writes);
  expect(batches).toEqual([
    ['a', 'b', 'c'],
    ['d', 'e'],
  ]);
});

test('uses another connection at once when much is pending, and else waits for the batch under way', async () => {
  const { commit, batches, open } = createSlowDatabase();
  const queue = createGroupCommit({ ...limits, connections: 2, pendingMin: 3, commit });
  const writes: Promise<void>[] = [];
  for (const name of ['a', 'b', 'c', 'd']) {
    writes.push(queue.write(named(name)));
    await endOfTurn();
  }
  expect(batches).toEqual([['a'], ['b', 'c']]);
  open();
  await Promise.all(writes);
  expect(batches).toEqual([['a'], ['b', 'c'], ['d']]);
});

test('puts no more into a batch than the cap, but a single write that is larger goes whole', async () => {
  const { commit, batches, open } = createSlowDatabase();
  const queue = createGroupCommit({ ...limits, batchMax: 2, commit });
  const writes = [['a', 'b'], ['c', 'd', 'e'], ['f'], ['g'], ['h']].map((names) => queue.write(named(...names)));
  open();
  await Promise.all(writes);
  expect(batches).toEqual([['a', 'b'], ['c', 'd', 'e'], ['f', 'g'], ['h']]);
});

test('bounds the bytes of the sketches that wait, but takes a write that is larger alone', async () => {
  const { commit, open } = createSlowDatabase();
  const queue = createGroupCommit({ ...limits, commit });
  const sketched = (bytes: number) => [summaryOf({ sketch: new Uint8Array(bytes) })];
  const writes = [queue.write(sketched(600)), queue.write(sketched(400))];
  await expect(queue.write(sketched(1))).rejects.toMatchObject({ code: 'queue_full' });
  writes.push(queue.write(named('a')));
  open();
  await Promise.all(writes);
  await queue.write(sketched(5_000));
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
  expect(queue.pending()).toBe(0);
  const writes = [queue.write(named('a')), queue.write(named('b', 'c'))];
  await expect(queue.write(named('d'))).rejects.toMatchObject({ code: 'queue_full' });
  expect(queue.pending()).toBe(3);
  open();
  await Promise.all(writes);
  expect(queue.pending()).toBe(0);
  await expect(queue.write(named('d'))).resolves.toBeUndefined();
});

test('has drained when nothing is waiting or under way', async () => {
  const { commit, open, batches } = createSlowDatabase();
  const queue = createGroupCommit({ ...limits, commit });
  void queue.write(named('a'));
  await endOfTurn();
  void queue.write(named('b'));
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
