import { expect, test } from 'vitest';
import { statisticNames } from '../../src/domain/summary.ts';
import {
  check,
  type Evidence,
  findBurnt,
  findDiverged,
  findDoubled,
  findFalselyComplete,
  findForeign,
  findLost,
  findOverBounds,
  findUnavailable,
} from '../../torture/checkers.ts';
import {
  type Content,
  type FaultOperation,
  type Held,
  type Operation,
  type ReadOperation,
  type Sent,
  statisticsOf,
  type Try,
} from '../../torture/history.ts';

const sent: Sent = { name: 'a', bucket: 100, count: 1, value: 0.5 };

const tryOf = (fields: Partial<Try> = {}): Try => ({
  service: 0,
  beganMs: 1_000,
  endedMs: 1_010,
  status: 201,
  stalledMs: 0,
  ...fields,
});
const write = (...tries: readonly Try[]): Operation => ({ type: 'write', summaries: [sent], tries });
const read = (counts: readonly [number, number][], fields: Partial<ReadOperation> = {}): Operation => ({
  type: 'read',
  service: 0,
  name: 'a',
  beganMs: 2_000,
  endedMs: 2_010,
  status: 200,
  stalledMs: 0,
  isComplete: true,
  databases: 2,
  counts: new Map(counts),
  ...fields,
});
const fault = (target: string, fields: Partial<FaultOperation> = {}): Operation => ({
  type: 'fault',
  fault: 'kill',
  target,
  beganMs: 900,
  endedMs: 1_100,
  ...fields,
});

const held: Held = { name: sent.name, bucket: sent.bucket, ...statisticsOf(sent) };
const holding = (...summaries: readonly Held[]): Content => new Map(summaries.map((one, index) => [`id${index}`, one]));
const evidence = (
  history: readonly Operation[],
  contents: readonly Content[] = [holding(held), holding(held)],
): Evidence => ({
  history,
  contents,
  writeAcks: 1,
});
const limits = { writeMs: 2_500, readMs: 6_500, rssMb: 300, sockets: 100 };

test('finds nothing where nothing is wrong', () => {
  const sound = evidence([write(tryOf()), read([[100, 1]]), fault('db1')]);
  for (const [checker, findings] of check(sound, limits)) expect([checker, ...findings]).toEqual([checker]);
});

test('finds what was acknowledged and is in no database; what was not acknowledged may be absent', () => {
  expect(findLost(evidence([write(tryOf())], [holding(), holding()]))).toHaveLength(1);
  expect(findLost(evidence([write(tryOf({ status: 503 }), tryOf())], [holding(), holding()]))).toHaveLength(1);
  expect(findLost(evidence([write(tryOf({ status: 503 }))], [holding(), holding()]))).toEqual([]);
});

test('finds what was never sent, and what says something else than was sent', () => {
  expect(findForeign(evidence([], [holding(held)]))).toEqual(['a 100 1 in db1 was never sent']);
  expect(findForeign(evidence([write(tryOf())], [holding(held), holding({ ...held, count: 2 })]))).toHaveLength(1);
});

test.each(statisticNames.slice(1))('finds another %s than was sent', (name) => {
  const changed = holding({ ...held, [name]: 7 });
  expect(findForeign(evidence([write(tryOf())], [holding(held), changed]))).toEqual([
    `a 100 1 in db2: its ${name} is 7, and was sent as ${held[name]}`,
  ]);
});

test('sends no two statistics of equal value', () => {
  expect(new Set(Object.values(statisticsOf(sent))).size).toBe(statisticNames.length);
});

test('finds databases that differ in the end', () => {
  expect(findDiverged(evidence([], [holding(held), holding()]))).toEqual(['db2 lacks 1 of 1 summaries']);
});

test('finds what is stored under two ids, and what a read counted twice', () => {
  expect(findDoubled(evidence([write(tryOf())], [holding(held, held)]))).toEqual(['a 100 1 is stored more than once']);
  expect(findDoubled(evidence([write(tryOf()), read([[100, 2]])]))).toHaveLength(1);
  expect(findDoubled(evidence([read([[100, 1]])]))).toHaveLength(1);
});

test('finds a read that calls itself complete and misses what was acknowledged before it began', () => {
  expect(findFalselyComplete(evidence([write(tryOf()), read([])]))).toHaveLength(1);
  expect(findFalselyComplete(evidence([write(tryOf()), read([[100, 2]])]))).toHaveLength(1);
  expect(findFalselyComplete(evidence([read([], { databases: 1 })]))).toHaveLength(1);
  expect(findFalselyComplete(evidence([write(tryOf()), read([], { isComplete: false })]))).toEqual([]);
  expect(findFalselyComplete(evidence([write(tryOf()), read([], { beganMs: 1_005 })]))).toEqual([]);
});

test('finds a read without the burnt database that fails or misses anything, whatever it says of itself', () => {
  const burn: Operation = { type: 'burn', target: 'db1', atMs: 1_900 };
  const incomplete = { isComplete: false };
  expect(findBurnt(evidence([write(tryOf()), burn, read([[100, 1]], incomplete)]))).toEqual([]);
  expect(findBurnt(evidence([write(tryOf()), burn, read([], incomplete)]))).toHaveLength(1);
  expect(findBurnt(evidence([burn, read([], { ...incomplete, status: 503 })]))).toHaveLength(1);
  expect(findBurnt(evidence([write(tryOf()), read([], { ...incomplete, beganMs: 1_899 }), burn]))).toEqual([]);
});

test('finds tries that failed although enough databases and their service were as they should be', () => {
  const failed = write(tryOf({ status: 503 }));
  const contents = [holding(held), holding(held), holding(held)];
  expect(findUnavailable(evidence([failed], contents))).toHaveLength(2);
  expect(findUnavailable(evidence([failed, fault('db1'), fault('db2')], contents))).toHaveLength(2);
  expect(findUnavailable(evidence([failed, fault('db1'), fault('db2'), fault('db3')], contents))).toEqual([]);
  expect(findUnavailable(evidence([failed, fault('service1')], contents))).toEqual([]);
  expect(findUnavailable(evidence([write(tryOf({ status: 503, stalledMs: 2_000 }))], contents))).toEqual([]);
  const later = write(tryOf({ status: 503, beganMs: 15_000, endedMs: 15_010 }));
  const all = (name: string) => ['db1', 'db2', 'db3'].map((target) => fault(target, { fault: name }));
  expect(findUnavailable(evidence([later, ...all('kill')], contents))).toHaveLength(2);
  expect(findUnavailable(evidence([later, ...all('role-locked-out')], contents))).toEqual([]);
  expect(findUnavailable(evidence([write(tryOf({ status: undefined })), fault('service2')], contents))).toHaveLength(2);
});

test('finds reads that failed although a database and their service were as they should be', () => {
  const failed = read([], { status: 503 });
  const contents = [holding(held), holding(held), holding(held)];
  const out = (...targets: readonly string[]) => targets.map((target) => fault(target));
  for (const status of [503, 500, undefined]) {
    expect(findUnavailable(evidence([read([], { status })], contents))).toHaveLength(2);
  }
  const withAcks2 = { ...evidence([failed, ...out('db1', 'db2')], contents), writeAcks: 2 };
  expect(findUnavailable(withAcks2)).toHaveLength(2);
  expect(findUnavailable(evidence([failed, ...out('db1', 'db2', 'db3')], contents))).toEqual([]);
  expect(findUnavailable(evidence([failed, ...out('service1')], contents))).toEqual([]);
  expect(findUnavailable(evidence([read([], { status: 503, stalledMs: 2_000 })], contents))).toEqual([]);
});

test('finds what takes too long, and what takes too much', () => {
  expect(findOverBounds(evidence([write(tryOf({ endedMs: 4_000 }))]), limits)).toHaveLength(1);
  expect(findOverBounds(evidence([write(tryOf({ endedMs: 4_000, stalledMs: 1_000 }))]), limits)).toEqual([]);
  expect(findOverBounds(evidence([read([], { endedMs: 9_000 })]), limits)).toHaveLength(1);
  expect(findOverBounds(evidence([read([], { endedMs: 17_000, status: undefined })]), limits)).toHaveLength(1);
  expect(findOverBounds(evidence([read([], { endedMs: 9_000, stalledMs: 1_000 })]), limits)).toEqual([]);
  const usage = { type: 'usage', service: 0, atMs: 1 } as const;
  expect(findOverBounds(evidence([{ ...usage, rssMb: 301, sockets: 1 }]), limits)).toHaveLength(1);
  expect(findOverBounds(evidence([{ ...usage, rssMb: 1, sockets: 101 }]), limits)).toHaveLength(1);
});
