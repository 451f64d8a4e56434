import { expect, test } from 'vitest';
import { Failure, invalidRequest, toFailure } from '../../src/domain/failure.ts';

test('keeps the error that caused it apart from the message that a client may see', () => {
  const cause = new Error('password authentication failed for user "alice"');
  const failure = new Failure('authentication', 'refuses the password', { cause });
  expect(failure.cause).toBe(cause);
  expect(failure.message).toBe('refuses the password');
  expect(failure.problems).toEqual([]);
});

test('names the first problem of a request in its message, and tells how many more there are', () => {
  const problems = [
    { path: '3.perc95', message: 'missing' },
    { path: '4.name', message: 'expected a string' },
    { path: '5.name', message: 'expected a string' },
  ];
  const failure = invalidRequest(...problems);
  expect(failure.code).toBe('invalid_request');
  expect(failure.message).toBe('3.perc95: missing (and 2 more)');
  expect(failure.problems).toEqual(problems);
  expect(invalidRequest({ path: 'from', message: 'is later than to' }).message).toBe('from: is later than to');
});

test('speaks of the request where a problem has no path', () => {
  expect(invalidRequest({ path: '', message: 'expected an object' }).message).toBe('request: expected an object');
});

test('takes a failure as it is', () => {
  const failure = new Failure('timeout', 'did not answer in time');
  expect(toFailure(failure)).toBe(failure);
});

test.each([new TypeError('x is undefined'), 'a string', undefined])(
  'makes an unknown failure of %o that shows nothing of it',
  (thrown) => {
    const failure = toFailure(thrown);
    expect(failure.code).toBe('unknown');
    expect(failure.message).toBe('unexpected error');
    expect(failure.cause).toBe(thrown);
  },
);
