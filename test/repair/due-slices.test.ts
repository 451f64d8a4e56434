import { expect, test } from 'vitest';
import { createDueSlices } from '../../src/repair/due-slices.ts';

const slice = (signature: string, from = 0) => ({ from, until: from + 60, signature, counts: [] });
const atRest = (signature: string) => ({ ...slice(signature), isAtRest: true });
const create = () => createDueSlices({ restMs: 3_000, isRetrying: true });

test('a difference is due when it has stood for the time', () => {
  const slices = create();
  expect(slices.due([slice('a')], 0)).toEqual([]);
  expect(slices.due([slice('a')], 2_999)).toEqual([]);
  expect(slices.due([slice('a')], 3_000)).toEqual([atRest('a')]);
});

test('a difference that changes has not stood', () => {
  const slices = create();
  slices.due([slice('a')], 0);
  expect(slices.due([slice('b')], 3_000)).toEqual([]);
  expect(slices.due([slice('b')], 6_000)).toEqual([atRest('b')]);
});

test('a slice that never rests is due all the same after a while', () => {
  const slices = create();
  for (let ms = 0; ms < 20_000; ms += 1_000) expect(slices.due([slice(`${ms}`)], ms)).toEqual([]);
  expect(slices.due([slice('x')], 20_000)).toEqual([{ ...slice('x'), isAtRest: false }]);
});

test('what was equal in between begins anew', () => {
  const slices = create();
  slices.due([slice('a')], 0);
  slices.due([], 1_000);
  expect(slices.due([slice('a')], 3_500)).toEqual([]);
});

test('what was tried in vain is tried again ever more rarely, at least every ten minutes', () => {
  const slices = create();
  slices.due([slice('a')], 0);
  const triedAt: number[] = [];
  for (let ms = 1_000; ms < 3_600_000; ms += 1_000) {
    for (const due of slices.due([slice('a')], ms)) {
      slices.tried(due, ms);
      triedAt.push(ms / 1_000);
    }
  }
  expect(triedAt.slice(0, 5)).toEqual([3, 6, 12, 24, 48]);
  expect((triedAt.at(-1) ?? 0) - (triedAt.at(-2) ?? 0)).toBe(600);
});

test('what was tried and differs in another way is due as before', () => {
  const slices = create();
  slices.due([slice('a')], 0);
  slices.tried(slice('a'), 3_000);
  expect(slices.untried()).toEqual([]);
  slices.due([slice('b')], 4_000);
  expect(slices.untried()).toEqual([0]);
  expect(slices.due([slice('b')], 7_000)).toEqual([atRest('b')]);
});
