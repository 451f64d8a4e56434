import { expect, test } from 'vitest';
import { Failure } from '../../src/domain/failure.ts';
import { createGroupCommit } from '../../src/store/group-commit.ts';
import type { Received } from '../../src/store/insert-summaries.ts';
import type { Lack } from '../../src/store/prerequisites.ts';
import { summaryOf } from '../support/summaries.ts';

const limits = {
  connections: 1,
  pendingMin: 0,
  batchMax: 100,
  pendingMax: 1_000,
  sketchBytesMax: 1_000,
  waitMs: 1_000,
  refuse: async () => undefined,
  prerequisites: { beingMadeFor: () => undefined, find: async () => undefined },
};

const endOfTurn = () => new Promise((resolve) => setImmediate(resolve));

const summariesOf = (received: readonly Received[]) => received.flatMap(({ summaries }) => summaries);

/** A database that commits when it is told to, and remembers the names of each batch. */
function createSlowDatabase(refuses: (name: string) => boolean = () => false) {
  const batches: string[][] = [];
  const gate = Promise.withResolvers<void>();
  return {
    batches,
    async commit(received: readonly Received[]) {
      const summaries = summariesOf(received);
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

/** What `lacking` says to be missing of a database is made when it is told to be. */
function createPrerequisites(names: Set<string>) {
  const gate = Promise.withResolvers<void>();
  const lack: Lack = {
    isNeededBy: ({ name }) => names.has(name),
    provide: () => gate.promise,
  };
  return {
    prerequisites: { beingMadeFor: () => undefined, find: async () => (names.size > 0 ? lack : undefined) },
    commit: async (received: readonly Received[]) => {
      if (summariesOf(received).some(lack.isNeededBy)) throw new Failure('partition_missing', 'failed');
    },
    make() {
      names.clear();
      gate.resolve();
    },
    fail: () => gate.reject(new Failure('timeout', 'waited in vain')),
  };
}

test('commits at once what lacks nothing, and whole what waited for something when that is made', async () => {
  const { prerequisites, commit, make } = createPrerequisites(new Set(['late']));
  const queue = createGroupCommit({ ...limits, prerequisites, commit });
  let isLateSettled = false;
  const late = queue.write(named('late', 'beside')).finally(() => {
    isLateSettled = true;
  });
  await Promise.all([queue.write(named('a')), queue.write(named('b'))]);
  expect(isLateSettled).toBe(false);
  expect(queue.pending()).toBe(2);
  make();
  await Promise.all([late, queue.drain()]);
  expect(queue.pending()).toBe(0);
});

test('fails a write for which nothing could be made, and lets the others have its room', async () => {
  const { prerequisites, commit, fail } = createPrerequisites(new Set(['late']));
  const queue = createGroupCommit({ ...limits, prerequisites, commit, pendingMax: 100 });
  const waiting = Array.from({ length: 80 }, () => queue.write(named('late')));
  // A part of the room is for what lacks nothing.
  await expect(Promise.race(waiting)).rejects.toMatchObject({ code: 'queue_full' });
  await queue.write(new Array(20).fill(summaryOf({ name: 'a' })));
  fail();
  const settled = await Promise.allSettled(waiting);
  expect(settled.filter(({ status }) => status === 'fulfilled')).toEqual([]);
  expect(settled.map((one) => (one as PromiseRejectedResult).reason.code)).toContain('timeout');
  expect(queue.pending()).toBe(0);
});

test('of a batch that lacks nothing that can be found, fails the write at fault alone', async () => {
  const commit = async (received: readonly Received[]) => {
    if (summariesOf(received).some(({ name }) => name === 'odd')) throw new Failure('partition_missing', 'failed');
  };
  const queue = createGroupCommit({ ...limits, commit });
  const [odd, ...others] = ['odd', 'a', 'b', 'c'].map((name) => queue.write(named(name)));
  await expect(odd).rejects.toMatchObject({ code: 'partition_missing' });
  await Promise.all(others);
});

test('splits a write that is refused beside the batches of the others', async () => {
  const gate = Promise.withResolvers<void>();
  const commit = async (received: readonly Received[]) => {
    const summaries = summariesOf(received);
    if (summaries.some(({ name }) => name === 'bad')) throw new Failure('data_refused', 'refused the data');
    if (summaries.some(({ name }) => name === 'good')) await gate.promise;
  };
  const queue = createGroupCommit({ ...limits, commit });
  const refused = queue.write(named('good', 'bad'));
  await queue.write(named('a'));
  await queue.write(named('b'));
  gate.resolve();
  await expect(refused).rejects.toMatchObject({ code: 'data_refused', problems: [{ path: '1' }] });
});
