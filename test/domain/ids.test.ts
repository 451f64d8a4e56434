import { validate, version } from 'uuid';
import { expect, test } from 'vitest';
import { createIds } from '../../src/domain/ids.ts';

/** More than the random bytes of one call to the system are enough for. */
const many = 1_000;

const take = (newId: () => string) => Array.from({ length: many }, newId);

test('makes UUIDs of version 7 that carry the time', () => {
  const nowMs = Date.parse('2026-01-02T03:04:05.678Z');
  for (const id of take(createIds(() => nowMs))) {
    expect(validate(id) && version(id)).toBe(7);
    expect(Number.parseInt(id.slice(0, 13).replace('-', ''), 16)).toBe(nowMs);
  }
});

test.each([
  ['stands still', () => 1_700_000_000_000],
  ['goes on', Date.now],
  [
    'goes back',
    (
      (nowMs) => () =>
        (nowMs -= 7)
    )(1_700_000_000_000),
  ],
])('makes each id greater than the one before while the clock %s', (_, now) => {
  const ids = take(createIds(now));
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(many);
});

test('makes other ids in another process in the same millisecond, in all that is random', () => {
  const now = () => 1_700_000_000_000;
  const tails = [take(createIds(now)), take(createIds(now))].flat().map((id) => id.slice(24));
  expect(new Set(tails).size).toBe(2 * many);
});
