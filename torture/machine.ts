/**
 * How long the machine kept the processes of the experiment from working: what is the doing of others who use it is taken off
 * what a service is blamed for. Measured, not assumed: where nothing is in the way, no fault of a service is excused.
 *
 * - The experiment itself, by how late its timers are.
 * - The services, by how long the system says that they waited for a processor.
 * - The disk, by how long it takes to write a byte that stays.
 *
 * Of the three the worst counts, sample by sample. A service that waits for a database makes none of them worse.
 */
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stalledMs as oursMs } from '../test/support/stalls.ts';

const sampleEveryMs = 200;

/** A disk that is used by a few databases takes as long now and then. */
const usualSyncMs = 150;

/** Measures until it is closed. */
export interface Machine {
  /** Milliseconds that were lost so far: of use is what is more of them later. */
  stalledMs(): number;
  close(): Promise<void>;
}

export interface MachineOptions {
  /** Of the disk that the databases are on. */
  readonly folder: string;
  /** The processes of the services that run now. */
  readonly pids: () => readonly number[];
}

/** Begins to measure. */
export function watchMachine({ folder, pids }: MachineOptions): Machine {
  const stopping = new AbortController();
  const sync = watchSync(join(folder, 'sync'), stopping.signal);
  const services = createWaits(pids);
  let total = 0;
  let oursBefore = oursMs();
  let syncBefore = sync.slowMs();
  const sample = () => {
    const [ours, slow] = [oursMs(), sync.slowMs()];
    total += Math.max(ours - oursBefore, slow - syncBefore, services.take());
    oursBefore = ours;
    syncBefore = slow;
  };
  const timer = setInterval(sample, sampleEveryMs);
  timer.unref();
  return {
    stalledMs() {
      sample();
      return total;
    },
    async close() {
      clearInterval(timer);
      stopping.abort();
      await sync.done;
    },
  };
}

/** How long each process has waited for a processor, as proc(5) `schedstat` tells of its main thread. */
function createWaits(pids: () => readonly number[]): { take(): number } {
  let before = new Map<number, number>();
  return {
    /** @returns The longest that any has waited since the last time, in milliseconds. */
    take() {
      const now = new Map(pids().map((pid) => [pid, waitedMs(pid)]));
      const waited = [...now].map(([pid, ms]) => ms - (before.get(pid) ?? ms));
      before = now;
      return Math.max(0, ...waited);
    },
  };
}

function waitedMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6 || 0;
  } catch {
    return 0;
  }
}

/** Writes a byte now and again. */
function watchSync(file: string, signal: AbortSignal): { slowMs(): number; readonly done: Promise<void> } {
  let slow = 0;
  let beganMs: number | undefined;
  const current = () => (beganMs === undefined ? 0 : Math.max(0, performance.now() - beganMs - usualSyncMs));
  const run = async () => {
    const handle = await open(file, 'w');
    while (!signal.aborted) {
      beganMs = performance.now();
      await handle.write('.', 0);
      await handle.datasync();
      slow += current();
      beganMs = undefined;
      await sleep(sampleEveryMs, undefined, { signal }).catch(() => undefined);
    }
    await handle.close();
  };
  return { slowMs: () => slow + current(), done: run() };
}
