import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Failure } from '../../src/domain/failure.ts';
import type { Observation } from '../../src/domain/observation.ts';
import type { Store } from '../../src/domain/store.ts';
import { createRedundantStore, type RedundantStoreOptions } from '../../src/store/redundant-store.ts';
import { createHeldStore } from '../support/held-store.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { summaryOf } from '../support/summaries.ts';

/** Longer than a test may take: whoever waits for it fails. */
const never = 600_000;

function redundant(stores: readonly Store[], options: Partial<RedundantStoreOptions> = {}): Store {
  return createRedundantStore({
    databases: stores.map((store, index) => ({ name: `db${index + 1}`, store })),
    acks: 1,
    writeTimeoutMs: never,
    readTimeoutMs: never,
    observe: () => undefined,
    ...options,
  });
}

function failing(failure: Error = new Failure('unreachable', 'cannot be reached')) {
  const store = createMemoryStore();
  store.failure = failure;
  return store;
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const done = promise.then(
    () => true,
    () => true,
  );
  return Promise.race([done, sleep(20, false)]);
}

test('answers at the first commit while another database hangs', async () => {
  const store = redundant([createHeldStore().store, createMemoryStore()]);
  expect(await store.write([summaryOf()])).toMatchObject({ copies: 1, databases: 2 });
});

test('answers at the first commit while another database fails', async () => {
  const store = redundant([failing(), createHeldStore().store, createMemoryStore()]);
  expect(await store.write([summaryOf()])).toMatchObject({ copies: 1, databases: 3 });
});

test('hands the summaries to every database at once', async () => {
  const databases = [createMemoryStore(), createMemoryStore(), createMemoryStore()];
  const store = redundant(databases);
  const writing = store.write([summaryOf()]);
  expect(databases.map(({ calls }) => calls.write)).toEqual([1, 1, 1]);
  await writing;
});

test('answers at the commit that completes WRITE_ACKS, and not before', async () => {
  const [first, second, third] = [createHeldStore(), createHeldStore(), createHeldStore()];
  const writing = redundant([first.store, second.store, third.store], { acks: 2 }).write([summaryOf()]);
  third.release();
  expect(await isSettled(writing)).toBe(false);
  first.release();
  expect(await writing).toMatchObject({ copies: 2, databases: 3 });
  expect(second.memory.calls.write).toBe(0);
});

test('tells how many copies there are once none is under way any more', async () => {
  const held = createHeldStore();
  const { copies, settled } = await redundant([createMemoryStore(), held.store, failing()]).write([summaryOf()]);
  expect(copies).toBe(1);
  expect(await isSettled(settled as Promise<number>)).toBe(false);
  held.release();
  expect(await settled).toBe(2);
  const together = createHeldStore();
  const writing = redundant([together.store, together.store], { acks: 2 }).write([summaryOf()]);
  together.release();
  expect(await writing).toEqual({ copies: 2, databases: 2 });
});

test('fails at once when all databases have failed', async () => {
  const writing = redundant([failing(), failing()]).write([summaryOf()]);
  await expect(writing).rejects.toMatchObject({
    code: 'too_few_copies',
    message: '0 of 2 databases have committed, 1 needed',
  });
});

test('fails as soon as WRITE_ACKS commits cannot be reached, while another database hangs', async () => {
  const store = redundant([createMemoryStore(), failing(), createHeldStore().store], { acks: 3 });
  await expect(store.write([summaryOf()])).rejects.toMatchObject({
    code: 'too_few_copies',
    message: '1 of 3 databases have committed, 3 needed',
  });
});

test('fails at the write timeout, and not before, when no database answers', async () => {
  const begun = performance.now();
  const writing = redundant([createHeldStore().store, createHeldStore().store], { writeTimeoutMs: 200 }).write([
    summaryOf(),
  ]);
  await expect(writing).rejects.toMatchObject({ code: 'too_few_copies' });
  expect(performance.now() - begun).toBeGreaterThan(100);
});

test('lets the slow databases go on after the answer, and waits for them when it is drained', async () => {
  const slow = createHeldStore();
  const store = redundant([createMemoryStore(), slow.store]);
  const summary = summaryOf();
  await store.write([summary]);
  const draining = store.drain();
  expect(await isSettled(draining)).toBe(false);
  expect(slow.memory.summaries.size).toBe(0);
  slow.release();
  await draining;
  expect([...slow.memory.summaries.values()]).toEqual([summary]);
});

test('lets the databases go on after the write timeout as well', async () => {
  const slow = createHeldStore();
  const store = redundant([slow.store], { writeTimeoutMs: 20 });
  await expect(store.write([summaryOf()])).rejects.toMatchObject({ code: 'too_few_copies' });
  slow.release();
  await store.drain();
  expect(slow.memory.summaries.size).toBe(1);
});

test('tells of each commit and each failure by the name of its database, also of those after the answer', async () => {
  const observations: Observation[] = [];
  const [lateCommit, lateFailure] = [createHeldStore(), createHeldStore()];
  lateFailure.memory.failure = new Failure('disk_full', 'has no room left');
  const stores = [failing(), createMemoryStore(), lateCommit.store, lateFailure.store];
  const store = redundant(stores, { observe: (observation) => observations.push(observation) });
  await store.write([summaryOf(), summaryOf()]);
  lateCommit.release();
  lateFailure.release();
  await store.drain();
  // What is observed follows the commit that drain waits for by a tick.
  await sleep(0);
  const told = observations.map((observation) => [
    observation.type,
    'database' in observation && observation.database,
    'failure' in observation ? observation.failure.code : undefined,
    'summaries' in observation && observation.summaries,
  ]);
  expect(told.toSorted((a, b) => String(a[1]).localeCompare(String(b[1])))).toEqual([
    ['write_failed', 'db1', 'unreachable', 2],
    ['write_committed', 'db2', undefined, 2],
    ['write_committed', 'db3', undefined, 2],
    ['write_failed', 'db4', 'disk_full', 2],
  ]);
});

test('takes an error that nobody expected for a failure of that database alone', async () => {
  const failures: unknown[] = [];
  const store = redundant([failing(new TypeError('x is undefined')), createMemoryStore()], {
    observe: (observation) => observation.type === 'write_failed' && failures.push(observation.failure.code),
  });
  expect(await store.write([summaryOf()])).toMatchObject({ copies: 1, databases: 2 });
  expect(failures).toEqual(['unknown']);
});

test('touches no database when there is nothing to write', async () => {
  const databases = [failing(), failing()];
  expect(await redundant(databases).write([])).toEqual({ copies: 2, databases: 2 });
  expect(databases.map(({ calls }) => calls.write)).toEqual([0, 0]);
});
