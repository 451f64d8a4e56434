import { expect, test } from 'vitest';
import { findBurnt, findFalselyComplete, findFalselyIncomplete } from '../../torture/checkers/reads.ts';
import type { Operation } from '../../torture/history.ts';
import { deletion, evidence, exportAt, fault, held, holding, importAt, read, sent, tryOf, write } from './histories.ts';

const three = [holding(held), holding(held), holding(held)];

test('finds a read that calls itself complete and misses what was acknowledged before it began', () => {
  expect(findFalselyComplete(evidence([write(tryOf()), read([])]))).toHaveLength(1);
  expect(findFalselyComplete(evidence([write(tryOf()), read([[100, 2]])]))).toHaveLength(1);
  expect(findFalselyComplete(evidence([write(tryOf()), read([], { isComplete: false })]))).toEqual([]);
  expect(findFalselyComplete(evidence([write(tryOf()), read([], { beganMs: 1_005 })]))).toEqual([]);
});

test('finds a read that calls itself complete of fewer databases than the least WRITE_ACKS of any service needs', () => {
  const history = [read([], { databases: 2 })];
  expect(findFalselyComplete({ ...evidence(history, three), writeAcks: [2, 1, 2] })).toHaveLength(1);
  expect(findFalselyComplete({ ...evidence(history, three), writeAcks: [2, 2, 2] })).toEqual([]);
});

test('finds an answer that is none and calls itself complete', () => {
  expect(findFalselyComplete(evidence([read([], { status: 503 })]))).toEqual([
    'a read of a by service1 at 2000 ms was answered 503 and said complete',
  ]);
  expect(findFalselyComplete(evidence([read([], { status: 503, isComplete: false })]))).toEqual([]);
});

test('expects of a read and an export what was acknowledged after a deletion, and nothing that was deleted', () => {
  const before = write(tryOf());
  expect(findFalselyComplete(evidence([before, deletion(1_500), read([])]))).toEqual([]);
  expect(findFalselyComplete(evidence([before, deletion(1_500), importAt(1_600), read([])]))).toHaveLength(1);
  expect(findFalselyComplete(evidence([before, read([], { endedMs: 2_010 }), deletion(2_005)]))).toEqual([]);
  expect(findFalselyComplete(evidence([before, exportAt(2_000, [])]))).toHaveLength(1);
  expect(findFalselyComplete(evidence([before, exportAt(2_000, [sent])]))).toEqual([]);
});

test('does not hold a service of the version before to what it says', () => {
  const older = (target: string) => fault(target, { fault: 'older-version', endedMs: 3_000 });
  expect(findFalselyComplete(evidence([older('service1'), read([], { databases: 1 })]))).toEqual([]);
  expect(findFalselyComplete(evidence([older('service2'), read([], { databases: 1 })]))).toHaveLength(1);
});

test('finds a read that calls itself incomplete although enough databases could be read', () => {
  const history = [read([], { isComplete: false, databases: 2 })];
  expect(findFalselyIncomplete(evidence(history, three))).toHaveLength(1);
  expect(findFalselyIncomplete(evidence([...history, fault('db1')], three))).toEqual([]);
  expect(findFalselyIncomplete({ ...evidence([...history, fault('db1')], three), writeAcks: [2, 2, 2] })).toHaveLength(
    1,
  );
  expect(findFalselyIncomplete(evidence([...history, fault('service1')], three))).toEqual([]);
});

test('expects that a database is read that takes no writes, but for the moment in which that begins or ends', () => {
  const history = [read([], { isComplete: false, databases: 2, beganMs: 20_000, endedMs: 20_010 })];
  const readOnly = (beganMs: number, endedMs: number) =>
    fault('db1', { beganMs, endedMs, hits: ['write'], edgeHits: ['read'] });
  expect(findFalselyIncomplete(evidence([...history, readOnly(1_000, 30_000)], three))).toHaveLength(1);
  expect(findFalselyIncomplete(evidence([...history, readOnly(19_000, 30_000)], three))).toEqual([]);
  expect(findFalselyIncomplete(evidence([...history, readOnly(1_000, 19_000)], three))).toEqual([]);
});

test('expects nothing of a database that has lost data, until it has had the time to get it from the others', () => {
  const history = [read([], { isComplete: false, beganMs: 30_000, endedMs: 30_010 })];
  expect(findFalselyIncomplete(evidence([...history, fault('db1', { isDestructive: true })], three))).toEqual([]);
  expect(findFalselyIncomplete(evidence([...history, fault('db1')], three))).toHaveLength(1);
});

test('finds a read without the burnt database that fails or misses anything, whatever it says of itself', () => {
  const burn: Operation = { type: 'burn', target: 'db1', atMs: 1_900 };
  const incomplete = { isComplete: false };
  expect(findBurnt(evidence([write(tryOf()), burn, read([[100, 1]], incomplete)]))).toEqual([]);
  expect(findBurnt(evidence([write(tryOf()), burn, read([], incomplete)]))).toHaveLength(1);
  expect(findBurnt(evidence([burn, read([], { ...incomplete, status: 503 })]))).toHaveLength(1);
  expect(findBurnt(evidence([write(tryOf()), read([], { ...incomplete, beganMs: 1_899 }), burn]))).toEqual([]);
  expect(findFalselyIncomplete(evidence([burn, read([], incomplete)]))).toEqual([]);
});
