import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const main = join(import.meta.dirname, '../../torture/main.ts');

/** @returns What the experiment said, and its exit code. */
function torture(...options: readonly string[]): Promise<{ output: string; code: number }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [main, ...options], (_, stdout, stderr) =>
      resolve({ output: stdout + stderr, code: child.exitCode ?? -1 }),
    );
  });
}

test('a quarter of a minute of faults finds nothing wrong', { timeout: 150_000 }, async () => {
  const { output } = await torture(
    '--seed',
    '2',
    '--minutes',
    '0.2',
    '--faults',
    'kill,freeze,black-hole,refuse,service-killed',
  );
  expect(output).toContain('nothing is wrong, seed 2\n');
});

test('a value that is rounded in one database is found', { timeout: 150_000 }, async () => {
  const { output, code } = await torture('--plant', '6', '--minutes', '0.05');
  expect(output).toContain('planted: a value rounded in one database');
  expect(output).toMatch(/UNEXPECTED OR CORRUPT: [1-9]/);
  expect(code).toBe(0);
});
