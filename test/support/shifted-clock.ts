import { globSync } from 'node:fs';

const [library] = globSync(['/usr/lib/*/faketime/libfaketimeMT.so.1', '/usr/lib*/faketime/libfaketimeMT.so.1']);

/** Whether clocks can be shifted here: libfaketime is installed. */
export const canShiftClocks = library !== undefined;

/** What gives a process a clock that is so many seconds ahead; what counts durations goes on as it is. */
export function shiftedClock(seconds: number): Record<string, string> {
  return {
    LD_PRELOAD: library ?? '',
    FAKETIME: `${seconds < 0 ? '' : '+'}${seconds}`,
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    DONT_FAKE_MONOTONIC: '1',
    FAKETIME_DISABLE_SHM: '1',
    NO_FAKE_STAT: '1',
  };
}

/** Does something with processes that it starts having another environment. */
export async function withEnvironment<Value>(more: Record<string, string>, work: () => Promise<Value>): Promise<Value> {
  const before = { ...process.env };
  Object.assign(process.env, more);
  try {
    return await work();
  } finally {
    for (const name of Object.keys(more)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
}
