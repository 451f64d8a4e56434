import { expect, test } from 'vitest';
import { expectSuccess } from '../support/load.ts';
import type { WriteAnswer } from '../support/service-client.ts';

const answers = (durationMs: number, count: number, status = 201): WriteAnswer[] =>
  Array.from({ length: count }, () => ({ status, ids: [], copies: null, retryAfter: null, durationMs }));

/** Judges the answers to the writes during a fault, where each took 2 ms before. */
const judge = (during: readonly WriteAnswer[]) => () => {
  const before = answers(2, 100);
  expectSuccess({ before, during, all: [...before, ...during] });
};

test('a wait that every write takes is found, and one that a busy machine adds is not', () => {
  expect(judge(answers(3, 200))).not.toThrow();
  expect(judge([...answers(3, 190), ...answers(400, 10)])).not.toThrow();
  expect(judge(answers(400, 200))).toThrow();
  expect(judge([...answers(3, 190), ...answers(600, 10)])).toThrow();
  expect(judge([...answers(3, 200), ...answers(3, 1, 503)])).toThrow();
});
