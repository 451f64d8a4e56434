import { expect, test } from 'vitest';
import { findOverBounds, findUnavailable } from '../../torture/checkers/availability.ts';
import type { Operation } from '../../torture/history.ts';
import { deletion, evidence, fault, held, holding, read, tryOf, write } from './histories.ts';

const limits = { writeMs: 2_500, readMs: 6_500, rssMb: 300, sockets: 100 };
const contents = [holding(held), holding(held), holding(held)];
const allOf = (fields: Parameters<typeof fault>[1]) => ['db1', 'db2', 'db3'].map((target) => fault(target, fields));

test('finds tries that failed although enough databases and their service were as they should be', () => {
  const failed = write(tryOf({ status: 503 }));
  expect(findUnavailable(evidence([failed], contents))).toHaveLength(2);
  expect(findUnavailable(evidence([failed, fault('db1'), fault('db2')], contents))).toHaveLength(2);
  expect(findUnavailable(evidence([failed, ...allOf({})], contents))).toEqual([]);
  expect(findUnavailable(evidence([failed, fault('service1')], contents))).toEqual([]);
  expect(findUnavailable(evidence([write(tryOf({ status: undefined })), fault('service2')], contents))).toHaveLength(2);
});

test('expects of a service as many databases as its own WRITE_ACKS needs', () => {
  const failedOf = (service: number) => write(tryOf({ status: 503, service }));
  const mixed = (history: readonly Operation[]) => ({ ...evidence(history, contents), writeAcks: [1, 2, 2] });
  expect(findUnavailable(mixed([failedOf(0), fault('db1'), fault('db2')]))).toHaveLength(2);
  expect(findUnavailable(mixed([failedOf(1), fault('db1'), fault('db2')]))).toEqual([]);
});

test('gives a database its time to be as before', () => {
  const later = write(tryOf({ status: 503, beganMs: 15_000, endedMs: 15_010 }));
  expect(findUnavailable(evidence([later, ...allOf({})], contents))).toHaveLength(2);
  expect(findUnavailable(evidence([later, ...allOf({ graceMs: 20_000 })], contents))).toEqual([]);
});

test('expects what a lock does not keep from being done', () => {
  const failed = write(tryOf({ status: 503 }));
  const locks = allOf({ hits: ['new week'] });
  expect(findUnavailable(evidence([failed, ...locks], contents))).toHaveLength(2);
  expect(findUnavailable(evidence([{ ...failed, needs: 'new week' }, ...locks], contents))).toEqual([]);
  expect(findUnavailable(evidence([{ ...failed, needs: 'new name' }, ...locks], contents))).toHaveLength(2);
});

test('takes 422 for an answer of a service whose clock is wrong, and of no other', () => {
  const refused = write(tryOf({ status: 422 }));
  const ofClock = (target: string) => fault(target, { hits: [], isOfClock: true });
  expect(findUnavailable(evidence([refused, ofClock('service1')], contents))).toEqual([]);
  expect(findUnavailable(evidence([refused, ofClock('service2')], contents))).toHaveLength(2);
  expect(findUnavailable(evidence([refused, ofClock('db1')], contents))).toHaveLength(2);
  expect(findUnavailable(evidence([write(tryOf({ status: 503 })), ofClock('service1')], contents))).toHaveLength(2);
});

test('finds reads that failed although a database and their service were as they should be', () => {
  const failed = read([], { status: 503 });
  const out = (...targets: readonly string[]) => targets.map((target) => fault(target));
  for (const status of [503, 500, undefined]) {
    expect(findUnavailable(evidence([read([], { status })], contents))).toHaveLength(2);
  }
  const withAcks2 = { ...evidence([failed, ...out('db1', 'db2')], contents), writeAcks: [2, 2, 2] };
  expect(findUnavailable(withAcks2)).toHaveLength(2);
  expect(findUnavailable(evidence([failed, ...out('db1', 'db2', 'db3')], contents))).toEqual([]);
  expect(findUnavailable(evidence([failed, ...out('service1')], contents))).toEqual([]);
});

test('finds one read that failed among thousands, but of writes only one in a thousand', () => {
  const reads = Array.from({ length: 3_000 }, () => read([]));
  expect(findUnavailable(evidence([...reads, read([], { status: 503 })], contents))).toHaveLength(2);
  const writes = Array.from({ length: 3_000 }, () => write(tryOf()));
  expect(findUnavailable(evidence([...writes, write(tryOf({ status: 503 }))], contents))).toEqual([]);
});

test('finds a deletion that failed although every database and every clock was as it should be', () => {
  const failed = deletion(1_000, { status: 503 });
  expect(findUnavailable(evidence([failed], contents))).toHaveLength(2);
  expect(findUnavailable(evidence([failed, fault('db1')], contents))).toEqual([]);
  const ofClock = fault('db1', { hits: [], isOfClock: true });
  expect(findUnavailable(evidence([failed, ofClock], contents))).toEqual([]);
});

test('excuses what failed while the machine stood still or just after, and nothing else', () => {
  const failed = write(tryOf({ status: 503, beganMs: 9_000, endedMs: 9_010 }));
  const stall = (atMs: number, ms: number): Operation => ({ type: 'stall', atMs, ms });
  expect(findUnavailable(evidence([write(tryOf({ status: 503, stalledMs: 2_000 }))], contents))).toEqual([]);
  expect(findUnavailable(evidence([read([], { status: 503, stalledMs: 2_000 })], contents))).toEqual([]);
  expect(findUnavailable(evidence([failed, stall(7_000, 900), stall(8_000, 900)], contents))).toEqual([]);
  expect(findUnavailable(evidence([failed, stall(7_000, 400), stall(8_000, 400)], contents))).toHaveLength(2);
  expect(findUnavailable(evidence([failed, stall(2_000, 900), stall(3_000, 900)], contents))).toHaveLength(2);
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
