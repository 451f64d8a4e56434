import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Run } from '../../src/database/deletions.ts';
import { noteSettings, readNotes } from '../../src/database/notes.ts';
import { createFleet, createFleetService, createSharedDatabase, type FleetService } from '../support/fleet.ts';
import { freshDatabase } from '../support/fresh-database.ts';
import { createSharedNotes } from '../support/shared-notes.ts';
import { summaryOf } from '../support/summaries.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

const everything = { namePattern: undefined, from: 0, to: 4e9 };

const isComplete = async ({ store }: FleetService) => (await store.select(everything)).complete;

test('a read of a service with WRITE_ACKS=2 is not complete without what one with WRITE_ACKS=1 may have acknowledged', async () => {
  const fleet = createFleet(3);
  const two = await fleet.start(2);
  await fleet.pass(5, 'copies');
  fleet.takeDown(1);
  await fleet.pass(2);
  expect(await isComplete(two)).toBe(true);

  fleet.takeDown();
  const one = await fleet.start(1);
  await fleet.pass(8);
  for (const name of ['db2', 'db3']) one.cut.add(name);
  await fleet.pass(1);
  await one.store.write([summaryOf()]);
  fleet.takeDown(1);
  await fleet.pass(2);
  expect(two.agreed.forReads()).toBe(1);
  expect(await isComplete(two)).toBe(false);
  // It does not forget what it has seen in a database that is away now.
  fleet.takeDown(1, 2);
  await fleet.pass(30);
  expect(two.agreed.forReads()).toBe(1);
});

test('a lower WRITE_ACKS counts for writes once enough databases know it, and higher ones until then', async () => {
  const fleet = createFleet(3);
  await fleet.start(2);
  await fleet.pass(5, 'copies');
  const one = await fleet.start(1);
  expect(one.agreed.forWrites()).toBe(2);
  await fleet.pass(4);
  expect(one.agreed.forWrites()).toBe(2);
  await fleet.pass(3);
  expect(one.agreed.forWrites()).toBe(1);
  // From then on whatever happens, while it is there.
  one.cut.add('db2').add('db3');
  await fleet.pass(300);
  expect(one.agreed.forWrites()).toBe(1);
});

test('in one database alone a lower WRITE_ACKS does not count while a service with a higher one is there', async () => {
  const fleet = createFleet(3);
  const two = await fleet.start(2);
  await fleet.pass(5, 'copies');
  const one = createFleetService(1, fleet.databases);
  for (const name of ['db2', 'db3']) one.cut.add(name);
  fleet.services.push(one);
  await fleet.pass(300);
  await expect(one.store.write([summaryOf()])).rejects.toMatchObject({ code: 'too_few_copies' });
  // Nobody is there any more who could be misled: the number is the operator's to choose.
  fleet.stop(two);
  await fleet.pass(70);
  expect(one.agreed.forWrites()).toBe(1);
});

test('a single service takes what it is told from the start', async () => {
  const fleet = createFleet(3);
  fleet.takeDown(2, 3);
  const one = await fleet.start(1);
  expect(one.agreed.forWrites()).toBe(1);
});

test('a service that did not run for a while does not count on being known', async () => {
  const fleet = createFleet(3);
  const two = await fleet.start(2);
  const one = await fleet.start(1);
  await fleet.pass(10, 'copies');
  expect(one.agreed.forWrites()).toBe(1);
  fleet.stop(one);
  await fleet.pass(100, 'copies');
  expect(two.agreed.forReads()).toBe(2);
  // It goes on where it was stopped.
  expect(one.agreed.forWrites()).toBe(2);
  await one.look();
  expect(one.agreed.forWrites()).toBe(2);
  fleet.services.push(one);
  await fleet.pass(8);
  expect(one.agreed.forWrites()).toBe(1);
  expect(two.agreed.forReads()).toBe(1);
});

test('a lower WRITE_ACKS is forgotten a minute after it was used last, when repair has found all databases equal since', async () => {
  const fleet = createFleet(3);
  const one = await fleet.start(1);
  const two = await fleet.start(2);
  await fleet.pass(10, 'copies');
  fleet.databases[0]?.memory.write([summaryOf()]);
  fleet.stop(one);
  await fleet.pass(120, 'looks');
  // They differ all the time.
  expect(two.agreed.forReads()).toBe(1);
  fleet.takeDown(3);
  await fleet.pass(120, 'copies');
  // One of them was not asked.
  expect(two.agreed.forReads()).toBe(1);
  fleet.takeDown();
  await fleet.pass(10, 'copies');
  expect(two.agreed.forReads()).toBe(2);
  expect(fleet.databases.map(({ notes }) => notes.numbers())).toEqual([[2], [2], [2]]);
});

test('a database that was emptied counts again when repair has found it equal', async () => {
  const fleet = createFleet(3);
  const two = await fleet.start(2);
  await two.store.write([summaryOf()]);
  await fleet.pass(10, 'copies');
  expect(['db1', 'db2', 'db3'].map(two.agreed.counts)).toEqual([true, true, true]);
  fleet.databases[2]?.empty();
  fleet.takeDown(1);
  await fleet.pass(3, 'copies');
  // db2 and db3 are N - W + 1, and db3 lacks everything.
  expect(await isComplete(two)).toBe(false);
  expect(two.agreed.counts('db3')).toBe(false);
  fleet.takeDown();
  await fleet.pass(6, 'copies');
  fleet.takeDown(1);
  await fleet.pass(2);
  expect(await isComplete(two)).toBe(true);
});

test('a database that was added, and one restored from an older copy, count when they were found equal', async () => {
  const fleet = createFleet(2);
  await fleet.start(2);
  await fleet.pass(10, 'copies');
  const added = createSharedDatabase('db3');
  fleet.databases.push(added);
  const three = createFleetService(3, fleet.databases);
  await three.look();
  // All of them know of 2 only.
  expect(three.agreed.forReads()).toBe(2);
  expect(['db1', 'db2', 'db3'].map(three.agreed.counts)).toEqual([true, true, false]);

  const notes = fleet.databases.map(({ notes }) => readNotes(notes.run));
  const [older] = await Promise.all(notes);
  await fleet.pass(200, 'copies');
  await added.notes.run('update equal_rounds', [
    older?.round,
    older?.id,
    older?.previous,
    (await readNotes(added.notes.run)).made,
    (await readNotes(added.notes.run)).round,
  ]);
  await three.look();
  expect(['db1', 'db2', 'db3'].map(three.agreed.counts)).toEqual([true, true, false]);
});

test('what a database lacked when a read began it lacks for that read, whatever is repaired meanwhile', async () => {
  const fleet = createFleet(3);
  const two = await fleet.start(2);
  await fleet.pass(5, 'copies');
  fleet.databases[2]?.empty();
  await fleet.pass(1);
  const isEnough = two.agreed.beginRead();
  await fleet.pass(6, 'copies');
  expect(two.agreed.counts('db3')).toBe(true);
  expect([isEnough(['db2', 'db3']), two.agreed.beginRead()(['db2', 'db3'])]).toEqual([false, true]);

  const one = await fleet.start(1);
  await fleet.pass(2);
  const isEnoughWithOne = two.agreed.beginRead();
  fleet.stop(one);
  await fleet.pass(90, 'copies');
  expect(two.agreed.forReads()).toBe(2);
  expect(isEnoughWithOne(['db2', 'db3'])).toBe(false);
});

test('notes that could not be read for some seconds count for nothing', async () => {
  const fleet = createFleet(3);
  const two = await fleet.start(2);
  await fleet.pass(5, 'copies');
  fleet.takeDown(1);
  await fleet.pass(2);
  expect(await isComplete(two)).toBe(true);
  vi.advanceTimersByTime(6_000);
  expect(await isComplete(two)).toBe(false);
});

type Fleet = ReturnType<typeof createFleet>;

const reachEverything = (fleet: Fleet) => {
  fleet.takeDown();
  for (const { cut } of fleet.services) cut.clear();
};

/** What may happen to services of three databases: to one that is there; numbers mean what they are used for. */
const happenings: Readonly<
  Record<string, (fleet: Fleet, service: FleetService, number: number, places: number[]) => Promise<unknown> | unknown>
> = {
  write: (fleet, service) => fleet.write(service),
  async read(fleet, { store }) {
    const result = await store.select(everything).catch(() => undefined);
    if (!result?.complete) return;
    const existing = new Set(fleet.databases.flatMap(({ memory }) => [...memory.summaries.keys()]));
    const expected = fleet.acknowledged.filter((id) => existing.has(id));
    expect(result.summaries.map(({ id }) => id)).toEqual(expect.arrayContaining(expected));
  },
  pass: (fleet, _, number) => fleet.pass(Math.ceil(number / 3)),
  rest: (fleet, _, number) => fleet.pass(75, number % 2 === 0 ? 'copies' : 'looks'),
  repair: (fleet) => fleet.pass(4, 'copies'),
  down: (fleet, _, __, places) => fleet.takeDown(...places),
  cut(_, service, __, places) {
    service.cut.clear();
    for (const place of places) service.cut.add(`db${place}`);
  },
  empty: (fleet, _, number) => fleet.databases[number % 3]?.empty(),
  // What a service does not know that starts or goes on while databases are away is not promised.
  async start(fleet, _, number) {
    if (fleet.services.length === 4) return;
    reachEverything(fleet);
    await fleet.pass(1);
    await fleet.start(1 + (number % 3));
  },
  stop(fleet, service) {
    if (fleet.services.length > 1) fleet.stop(service);
  },
  /** It does not run for a while, and then goes on at once. */
  async freeze(fleet, service, number) {
    if (fleet.services.length === 1) return;
    fleet.stop(service);
    await fleet.pass(40 * (number % 4), 'copies');
    reachEverything(fleet);
    service.cut.clear();
    fleet.services.push(service);
  },
};

/** Most often what makes a summary be in few databases, and a read of few. */
const often = ['write', 'write', 'write', 'read', 'read', 'read', 'read', 'cut', 'cut', 'cut', 'down', 'down', 'pass'];

const happening = fc.record({
  what: fc.constantFrom(...Object.keys(happenings), ...often, ...often),
  which: fc.nat(11),
  number: fc.integer({ min: 1, max: 12 }),
  places: fc.subarray([1, 2, 3]),
});

const anyNumbers = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 });

test('services of different WRITE_ACKS miss no acknowledged summary whenever they say that they are complete', async () => {
  await fc.assert(
    fc.asyncProperty(anyNumbers, fc.array(happening, { minLength: 10, maxLength: 40 }), async (numbers, story) => {
      const fleet = createFleet(3);
      for (const acks of numbers) await fleet.start(acks);
      await fleet.pass(10, 'copies');
      for (const { what, which, number, places } of story) {
        const service = fleet.services[which % fleet.services.length] as FleetService;
        await happenings[what]?.(fleet, service, number, places);
      }
    }),
    { numRuns: 400 },
  );
}, 120_000);

test('notes in memory, which the tests above rest on, do what those in PostgreSQL do', async () => {
  vi.useRealTimers();
  const database = await freshDatabase();
  const real: Run = (text, values = []) => database.query('maintain', { text, values });
  const fake = createSharedNotes();
  for (const run of [real, fake.run]) {
    const empty = await readNotes(run);
    expect(empty).toMatchObject({ round: 0, id: null, previous: null, settings: [], weeksHeldBack: 0 });
    await noteSettings(run, { write_acks: 2, retention_seconds: Number.POSITIVE_INFINITY });
    const noted = await readNotes(run);
    expect(noted.settings.map(({ setting, value }) => [setting, value]).toSorted()).toEqual([
      ['retention_seconds', Number.POSITIVE_INFINITY],
      ['write_acks', 2],
    ]);
    for (const { ageSeconds } of noted.settings) expect(ageSeconds).toBeLessThan(10);
    await noteSettings(run, { write_acks: 2 });
    const again = await readNotes(run);
    const usedAtOf = ({ settings }: typeof again, setting: string) =>
      settings.find((one) => one.setting === setting)?.usedAt;
    expect(usedAtOf(again, 'write_acks')).not.toBe(usedAtOf(noted, 'write_acks'));
    expect(usedAtOf(again, 'retention_seconds')).toBe(usedAtOf(noted, 'retention_seconds'));
  }
});
