/**
 * Clocks that can be set wrong, each of one process and its children: by libfaketime, a library that is loaded before all others
 * and adds to the time what a file says. What counts durations, the monotonic clock, goes on as it is.
 */
import { existsSync, globSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const folders = ['/usr/lib/*/faketime', '/usr/lib/faketime', '/usr/lib64/faketime', '/usr/local/lib/faketime'];

/** A process may go by what it has read for so long. */
export const clockSettlesMs = 2_000;

/** A clock of its own. */
export interface Clock {
  /** What makes a process go by it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Seconds ahead of the true time; negative: behind. It takes two seconds until every process sees it. */
  set(seconds: number): Promise<void>;
}

/** Undefined where libfaketime is installed. */
export function clocksMissing(): string | undefined {
  return findFolder() ? undefined : 'libfaketime is not installed';
}

/**
 * A clock that is right.
 *
 * @param file Where its offset is kept; whoever runs the process must be able to read it.
 * @param hasThreads Whether the process has several. Those of a server must not wait for each other: a signal may come at any time.
 * @returns Undefined where libfaketime is not installed.
 */
export async function createClock(file: string, { hasThreads }: { hasThreads: boolean }): Promise<Clock | undefined> {
  const folder = findFolder();
  if (folder === undefined) return undefined;
  const set = async (seconds: number) => {
    // Whoever reads half a file ends.
    await writeFile(`${file}.new`, `${seconds < 0 ? '' : '+'}${seconds}\n`, { mode: 0o644 });
    await rename(`${file}.new`, file);
  };
  await set(0);
  return {
    environment: {
      LD_PRELOAD: join(folder, hasThreads ? 'libfaketimeMT.so.1' : 'libfaketime.so.1'),
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
      // Else processes that were killed leave segments of shared memory behind.
      FAKETIME_DISABLE_SHM: '1',
      NO_FAKE_STAT: '1',
    },
    set,
  };
}

function findFolder(): string | undefined {
  return globSync(folders).find((folder) => existsSync(join(folder, 'libfaketimeMT.so.1')));
}
