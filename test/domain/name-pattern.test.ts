import { expect, test } from 'vitest';
import { namePatternProblem } from '../../src/domain/name-pattern.ts';

test.each([
  '',
  '^foo\\.web\\.(requests|errors)$',
  'a{1,3}[[:alpha:]]\\d+\\w*(?=x)',
  '\\0',
  'foo\\\\1',
  '(a)\\\\\\\\2',
  '\\c1',
  'unbalanced ( is for PostgreSQL to refuse',
  'Größe ✓ 🙂',
])('takes %s', (pattern) => {
  expect(namePatternProblem(pattern)).toBeUndefined();
});

test.each(['(a)\\1', '(a+)(b)\\2', '(a)\\\\\\1', '(a)\\9', '(a)\\12', '\n(a)\\\n\\1', '(?b)\\(a\\)\\1', '[\\]\\1'])(
  'refuses the back-reference of %j',
  (pattern) => {
    expect(namePatternProblem(pattern)).toContain('back-references');
  },
);

// `\c\` is one character, and `\1` after it a back-reference; with (?b), `\c` is one and the rest of `\c\1` another.
test.each(['(a)\\c\\\\1', '(?b)\\(a\\)\\c\\1'])('refuses %j, which hides a back-reference behind \\c', (pattern) => {
  expect(namePatternProblem(pattern)).toBeDefined();
});

test.each([
  ['ASCII', 'a'.repeat(256)],
  ['two bytes each', 'ü'.repeat(128)],
  ['four bytes each', '🙂'.repeat(64)],
])('takes 256 bytes and refuses one more, of characters of %s', (_, longest) => {
  expect(namePatternProblem(longest)).toBeUndefined();
  expect(namePatternProblem(`${longest}a`)).toBe('is longer than 256 bytes');
});

test.each([
  ['NUL, which PostgreSQL cannot hold', 'foo\0bar'],
  ['the first half of a surrogate pair', 'foo\ud83d'],
  ['the second half of a surrogate pair', '\ude42foo'],
])('refuses %s', (_, pattern) => {
  expect(namePatternProblem(pattern)).toContain('well-formed');
});
