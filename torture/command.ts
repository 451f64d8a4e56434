import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

/** Longer than a command waits for a database that is frozen, shorter than anybody waits for a command. */
const hangsMs = 40_000;

export interface CommandOptions {
  /** Of the sources. */
  readonly root: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly databaseUrls: readonly URL[];
  /** What it says beside its output is added to this file. */
  readonly logFile: string;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/**
 * Runs a command of m2pg, such as `export`, on the databases themselves.
 *
 * @returns Its output, and its exit code; undefined: it was ended.
 */
export async function runCommand(
  args: readonly string[],
  { root, environment, databaseUrls, logFile, signal }: CommandOptions,
): Promise<{ output: string; code: number | undefined }> {
  const child = spawn(process.execPath, [join(root, 'src/main.ts'), ...args], {
    env: { PATH: process.env.PATH ?? '', ...environment, DATABASE_URLS: databaseUrls.join('|') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const end = () => child.kill('SIGKILL');
  const timer = setTimeout(end, hangsMs);
  signal.addEventListener('abort', end);
  if (signal.aborted) end();
  const log = createWriteStream(logFile, { flags: 'a' });
  log.write(`$ m2pg ${args.join(' ')}\n`);
  child.stderr.pipe(log);
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  clearTimeout(timer);
  signal.removeEventListener('abort', end);
  return { output, code: code ?? undefined };
}
