import { expect, test } from 'vitest';
import { statisticNames } from '../../src/domain/summary.ts';
import { check } from '../../torture/checkers/check.ts';
import { findDiverged, findDoubled, findForeign, findLost, findReturned } from '../../torture/checkers/contents.ts';
import { statisticsOf } from '../../torture/history.ts';
import { deletion, evidence, fault, held, holding, importAt, read, sent, tryOf, write } from './histories.ts';

const limits = { writeMs: 2_500, readMs: 6_500, rssMb: 300, sockets: 100 };
const nothing = [holding(), holding()];

test('finds nothing where nothing is wrong', () => {
  const sound = evidence([write(tryOf()), read([[100, 1]]), fault('db1')]);
  for (const [checker, findings] of check(sound, limits)) expect([checker, ...findings]).toEqual([checker]);
});

test('finds what was acknowledged, by any try, and is in no database', () => {
  expect(findLost(evidence([write(tryOf({ status: 503 }), tryOf())], nothing))).toEqual([
    'a 100 1 was acknowledged and is in no database',
  ]);
  expect(findLost(evidence([write(tryOf())], [holding(held), holding()]))).toEqual([]);
  expect(findLost(evidence([write(tryOf({ status: 503 }))], nothing))).toEqual([]);
});

test('finds what was acknowledged after a deletion, by a write or an import, and is in no database', () => {
  const before = write(tryOf());
  expect(findLost(evidence([before, deletion(2_000)], nothing))).toEqual([]);
  expect(findLost(evidence([before, deletion(2_000), importAt(3_000)], nothing))).toHaveLength(1);
  expect(findLost(evidence([deletion(500), before], nothing))).toHaveLength(1);
  // It was answered, though too few databases have noted it.
  expect(findLost(evidence([deletion(500, { status: 503 }), before], nothing))).toHaveLength(1);
});

test('says nothing of what was sent while it was deleted, or may be deleted still', () => {
  const before = write(tryOf());
  expect(findLost(evidence([deletion(500, { endedMs: 1_005 }), before], nothing))).toEqual([]);
  expect(findLost(evidence([deletion(500, { status: undefined }), before], nothing))).toEqual([]);
  expect(findReturned(evidence([before, deletion(1_005)]))).toEqual([]);
  expect(findReturned(evidence([before, deletion(2_000, { status: 503 })]))).toEqual([]);
  expect(findReturned(evidence([write(tryOf({ status: undefined })), deletion(2_000)]))).toEqual([]);
});

test('finds what was deleted, not sent again, and is in a database', () => {
  const before = write(tryOf());
  expect(findReturned(evidence([before, deletion(2_000)], [holding(held), holding()]))).toEqual([
    'a 100 1 was deleted and is in db1',
  ]);
  expect(findReturned(evidence([before, deletion(2_000)], nothing))).toEqual([]);
  expect(findReturned(evidence([before, deletion(2_000, { from: 101 })]))).toEqual([]);
  expect(findReturned(evidence([before, deletion(2_000), importAt(3_000)]))).toEqual([]);
  expect(findReturned(evidence([before, deletion(2_000), importAt(3_000), deletion(4_000)]))).toHaveLength(2);
  expect(findReturned(evidence([before, deletion(2_000), importAt(3_000, { status: undefined })]))).toEqual([]);
});

test('finds what is in a database and was never sent', () => {
  expect(findForeign(evidence([]))).toHaveLength(2);
  const other = holding({ ...held, count: 2 });
  expect(findForeign(evidence([write(tryOf())], [holding(held), other]))).toHaveLength(1);
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
  expect(findDiverged(evidence([], [holding(held), holding()]))).toEqual(['db2 lacks 1 of 1 summaries: a']);
});

test('finds what is stored under two ids, and what a read counted twice', () => {
  expect(findDoubled(evidence([write(tryOf())], [holding(held, held)]))).toEqual(['a 100 1 is stored more than once']);
  expect(findDoubled(evidence([write(tryOf()), read([[100, 2]])]))).toHaveLength(1);
  expect(findDoubled(evidence([read([[100, 1]])]))).toHaveLength(1);
});
