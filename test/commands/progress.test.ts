import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createProgress } from '../../src/commands/progress.ts';

function terminal({ isTTY = true, columns = 80 } = {}) {
  const written: string[] = [];
  return { written, isTTY, columns, write: (text: unknown) => written.push(String(text)) > 0 };
}

test('writes one line over and over, a few times a second', async () => {
  const stream = terminal();
  const progress = createProgress(stream);
  progress.show(0.25, '1,000 summaries');
  progress.show(0.26, '1,001 summaries');
  expect(stream.written).toEqual([`\r[${'#'.repeat(6)}${'.'.repeat(18)}] 25% 1,000 summaries\x1b[K`]);
  await sleep(220);
  progress.show(1, '2 summaries');
  progress.clear();
  expect(stream.written.slice(1)).toEqual([`\r[${'#'.repeat(24)}]100% 2 summaries\x1b[K`, '\r\x1b[K']);
});

test('shows no bar where nobody knows how much there is, and never wraps', () => {
  const stream = terminal({ columns: 10 });
  createProgress(stream).show(undefined, '123456789012');
  expect(stream.written).toEqual(['\r123456789\x1b[K']);
  const unknown = terminal({ columns: 0 });
  createProgress(unknown).show(undefined, 'whole');
  expect(unknown.written).toEqual(['\rwhole\x1b[K']);
});

test('writes nothing where there is no terminal', () => {
  const stream = terminal({ isTTY: false });
  const progress = createProgress(stream);
  progress.show(0.5, 'half');
  progress.clear();
  expect(stream.written).toEqual([]);
});
