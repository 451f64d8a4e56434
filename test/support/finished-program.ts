import { execFile } from 'node:child_process';
import { join } from 'node:path';

const main = join(import.meta.dirname, '../../src/main.ts');

/** A run of the program that has ended. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command of the program to its end on some databases. */
export function runToEnd(
  args: readonly string[],
  urls: readonly URL[],
  { input, env }: { input?: string | Buffer; env?: Readonly<Record<string, string>> } = {},
): Promise<Finished> {
  return new Promise((resolve) => {
    const all = { PATH: process.env.PATH ?? '', DATABASE_URLS: urls.map(String).join('|'), ...env };
    const options = { env: all, maxBuffer: 1e9 };
    const child = execFile(process.execPath, [main, ...args], options, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}
