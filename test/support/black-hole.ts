import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';

const run = promisify(execFile);

/** An address of this machine to which packets can be made to vanish without a word, as a broken route does. */
export interface BlackHole {
  readonly host: string;
  open(): Promise<void>;
  close(): Promise<void>;
}

/** Undefined where this user may not change routes. */
export async function findBlackHole(): Promise<BlackHole | undefined> {
  const host = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
  const route = (verb: string) => run('ip', ['route', verb, 'blackhole', `${host}/32`, 'table', 'local']);
  const hole: BlackHole = {
    host,
    open: async () => void (await route('add')),
    // It may be closed already.
    close: async () => void (await route('del').catch(() => undefined)),
  };
  try {
    await hole.open();
    await hole.close();
  } catch {
    return undefined;
  }
  onTestFinished(hole.close);
  return hole;
}
