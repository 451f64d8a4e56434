import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/domain/failure.ts';
import type { Observation } from '../../src/domain/observation.ts';
import { createSeriesGroups, type SeriesGroups } from '../../src/domain/series-groups.ts';
import type { AggregateQuery, Store } from '../../src/domain/store.ts';
import { createRedundantStore, type RedundantStoreOptions } from '../../src/store/redundant-store.ts';
import { createMemoryStore } from '../support/memory-store.ts';

const query: AggregateQuery = {
  namePattern: undefined,
  from: 0,
  to: 4e9,
  resolution: { amount: 1, unit: 'second' },
  timezone: 'UTC',
  namesMax: 10_000,
};

const unreachable = () => Promise.reject(new Failure('unreachable', 'cannot be reached'));
const never = () => new Promise<never>(() => undefined);

interface PagedStore extends Store {
  /** How many pages it was asked for, and whether they were let go of. */
  readonly state: { asked: number; closed: number };
}

/** A database that gives a page a series; what happens before the page of a number is told. */
function pagedStore(
  names: readonly string[],
  before: (page: number) => Promise<unknown> | undefined = () => undefined,
  groups = 1,
): PagedStore {
  const state = { asked: 0, closed: 0 };
  return {
    ...createMemoryStore(),
    state,
    async aggregate() {
      const pages = (async function* () {
        for (const [page, name] of names.entries()) {
          state.asked += 1;
          await before(page);
          yield [seriesOf(name, groups)];
        }
        await before(names.length);
      })();
      const close = async () => {
        state.closed += 1;
      };
      return { outcomes: [], complete: true, pages, close };
    },
  };
}

/** The same wherever it is: the copies do not differ. */
function seriesOf(name: string, groups: number): SeriesGroups {
  const series = createSeriesGroups(name, groups);
  for (let index = 0; index < groups; index += 1) {
    series.buckets[index] = index;
    series.counts[index] = 1;
  }
  return series;
}

function redundant(databases: readonly Store[], options: Partial<RedundantStoreOptions> = {}): Store {
  return createRedundantStore({
    databases: databases.map((store, index) => ({ name: `db${index + 1}`, store })),
    acks: 1,
    writeTimeoutMs: 1_000,
    readTimeoutMs: 1_000,
    observe: () => undefined,
    ...options,
  });
}

const names = ['a', 'b', 'c', 'd', 'e'];

async function namesOf(pages: AsyncIterable<readonly SeriesGroups[]>): Promise<string[]> {
  const given: string[] = [];
  for await (const page of pages) given.push(...page.map(({ name }) => name));
  return given;
}

describe('a database that fails before anything was said of the answer', () => {
  const places = [0, 1, 2, 3, 4, 5];

  test.each(places)('at page %i, is left out of it, and the others give all they hold', async (at) => {
    const observations: Observation[] = [];
    const failing = pagedStore(names, (page) => (page === at ? unreachable() : undefined));
    const store = redundant([pagedStore(names), failing, pagedStore(names)], {
      observe: (observation) => observations.push(observation),
    });
    const { pages, outcomes, complete, close } = await store.aggregate(query);
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['ok', 'unreachable', 'ok']);
    expect(complete).toBe(false);
    expect(await namesOf(pages)).toEqual(names);
    expect(observations.filter(({ type }) => type === 'read_failed')).toHaveLength(1);
    // At once: the others may take long to give all of theirs.
    if (at > 0) expect(failing.state.closed).toBe(1);
    await close();
    await sleep(0);
    expect(failing.state.closed).toBeGreaterThan(0);
  });

  test.each(places)('at page %i, leaves the answer complete where the others know all', async (at) => {
    const failing = pagedStore(names, (page) => (page === at ? unreachable() : undefined));
    const { complete, outcomes, pages } = await redundant([failing, pagedStore(names), pagedStore(names)], {
      acks: 2,
    }).aggregate(query);
    expect(complete).toBe(true);
    expect(outcomes[0]?.outcome).toBe('unreachable');
    expect(await namesOf(pages)).toEqual(names);
  });

  test('may be followed by another one, until none is left', async () => {
    const failingAt = (at: number) => pagedStore(names, (page) => (page === at ? unreachable() : undefined));
    const one = await redundant([failingAt(1), failingAt(3), pagedStore(names)]).aggregate(query);
    expect(one.outcomes.map(({ outcome }) => outcome)).toEqual(['unreachable', 'unreachable', 'ok']);
    expect(await namesOf(one.pages)).toEqual(names);
    const none = redundant([failingAt(1), failingAt(3), failingAt(5)]).aggregate(query);
    await expect(none).rejects.toMatchObject({ code: 'no_database' });
  });

  test('takes no names of the others with it, where it holds some that they lack', async () => {
    const failing = pagedStore(['a', 'b', 'x'], (page) => (page === 2 ? unreachable() : undefined));
    const { pages, outcomes } = await redundant([failing, pagedStore(['a', 'c', 'd'])]).aggregate(query);
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['unreachable', 'ok']);
    // What it had given is stored, whoever else has it.
    expect(await namesOf(pages)).toEqual(['a', 'b', 'c', 'd']);
  });

  test('by falling silent, is waited for as long as a page may take, once', async () => {
    const silent = pagedStore(names, (page) => (page === 2 ? never() : undefined));
    const begun = performance.now();
    const store = redundant([pagedStore(names), silent], { readTimeoutMs: 200 });
    const { pages, outcomes } = await store.aggregate(query);
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['ok', 'timeout']);
    expect(await namesOf(pages)).toEqual(names);
    expect(performance.now() - begun).toBeLessThan(1_000);
  });

  test('by falling silent, is not waited for when the service stops', async () => {
    const stopping = new AbortController();
    const silent = pagedStore(names, (page) => (page === 2 ? never() : undefined));
    const store = redundant([pagedStore(names), silent], { readTimeoutMs: 600_000, stopping: stopping.signal });
    const reading = store.aggregate(query);
    setTimeout(() => stopping.abort(), 50);
    const { pages, outcomes } = await reading;
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['ok', 'timeout']);
    expect(await namesOf(pages)).toEqual(names);
  });
});

test('a database that fails when its part was already said to be there, makes the answer fail', async () => {
  const many = Array.from({ length: 9 }, (_, index) => `name.${index}`);
  const failing = pagedStore(many, (page) => (page === 8 ? unreachable() : undefined), 10_000);
  const { pages, outcomes, complete } = await redundant([pagedStore(many, undefined, 10_000), failing]).aggregate(
    query,
  );
  expect(complete).toBe(true);
  expect(outcomes.map(({ outcome }) => outcome)).toEqual(['ok', 'ok']);
  const given: string[] = [];
  const read = async () => {
    for await (const page of pages) given.push(...page.map(({ name }) => name));
  };
  await expect(read()).rejects.toMatchObject({ code: 'incomplete', message: 'db2 failed in the middle of the answer' });
  expect(given).toEqual(many.slice(0, 8));
});

test('of a large answer no more is read ahead than may be held back of it', async () => {
  const many = Array.from({ length: 100 }, (_, index) => `name.${String(index).padStart(3, '0')}`);
  const store = pagedStore(many, undefined, 10_000);
  const { close } = await redundant([store]).aggregate(query);
  expect(store.state.asked).toBeLessThan(6);
  await close();
});
