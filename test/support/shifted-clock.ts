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
