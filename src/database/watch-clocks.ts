import { setTimeout as sleep } from 'node:timers/promises';
import type { Observe } from '../domain/observation.ts';
import { type ClockComparison, type ClockOwner, compareClocks } from './clocks.ts';

/** As often as the databases are looked at. */
const compareEveryMs = 1_000;

/** After a suspension of the machine the clocks seem to differ until the next look. */
const comparisonsMin = 4;

export interface WatchClocksOptions {
  readonly databases: readonly ClockOwner[];
  /** Unix seconds. */
  readonly now: () => number;
  readonly observe: Observe;
}

/** Compares the clocks until the signal, and tells when they begin to differ or to agree for some seconds. */
export async function watchClocks({ databases, now, observe }: WatchClocksOptions, signal: AbortSignal): Promise<void> {
  let told: ClockComparison['state'] = 'agree';
  for (let times = 0; !signal.aborted; ) {
    const { state, message } = compareClocks(databases, now());
    times = state === told ? 0 : times + 1;
    if (times === comparisonsMin) {
      [told, times] = [state, 0];
      observe({ type: 'clocks_compared', state, message });
    }
    await sleep(compareEveryMs, undefined, { signal }).catch(() => undefined);
  }
}
