/**
 * The worker processes of a service: started, replaced when they die, stopped.
 *
 * 1. The first worker finds the port. When it cannot start, neither could the others: that is the end.
 * 2. The others are told that port, so that all share it.
 * 3. One that dies is replaced after a pause that doubles with every death in a row, until none dies for a while.
 * 4. When several in a row die before they listen, something is wrong with all of them: that, too, is the end.
 */
import cluster, { type Worker } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Observe } from '../domain/observation.ts';
import type { Snapshot } from '../telemetry.ts';
import { type Answers, type Call, createCalls } from './calls.ts';

const firstPauseMs = 100;
const pauseMaxMs = 30_000;

/** When no worker has died for so long, the next one that does is nothing that goes on. */
const quietMs = 60_000;

const failedStartsMax = 5;

/** One that is too busy to answer a scrape in time is left out of it. */
const snapshotTimeoutMs = 1_000;

export interface WorkersOptions {
  readonly count: number;
  /** Variables of theirs, besides ours. */
  readonly environment: Readonly<Record<string, string>>;
  /** What they may ask us. */
  readonly answers: Answers;
  readonly observe: Observe;
}

/** The workers of a service. */
export interface Workers {
  /** Starts all and gives their port. */
  start(): Promise<number>;
  /** Rejects when workers cannot be started, or not any more. */
  readonly failed: Promise<never>;
  /** The telemetry of those that answer, by their place, from 1. */
  snapshots(): Promise<ReadonlyMap<string, Snapshot>>;
  /** Lets all finish what is in progress, and kills those that are left after the time. @returns False when it had to. */
  stop(signal: string, timeoutMs: number): Promise<boolean>;
}

interface Running {
  readonly worker: Worker;
  readonly call: Call;
  /** Resolves with the cause. */
  readonly ended: Promise<string>;
}

/** Creates the workers of a service; none is started yet. */
export function createWorkers({ count, environment, answers, observe }: WorkersOptions): Workers {
  const running = new Map<number, Running>();
  const failed = Promise.withResolvers<never>();
  const stopping = new AbortController();
  const pauses = createPauses();
  let port: Readonly<Record<string, string>> = {};

  /** Keeps a worker in its place, one after another. */
  const keep = async (place: number, onListening: (port: number) => void): Promise<void> => {
    while (!stopping.signal.aborted) {
      const one = fork({ ...environment, ...port }, answers);
      running.set(place, one);
      let hasListened = false;
      one.worker.once('listening', (address) => {
        hasListened = true;
        onListening(address.port);
      });
      const cause = await one.ended;
      running.delete(place);
      if (stopping.signal.aborted) return;
      const pauseMs = pauses.next(hasListened);
      if (pauseMs === undefined) {
        failed.reject(
          new Error(`worker processes cannot be started: the last one ended before it listened, by ${cause}`),
        );
        return;
      }
      observe({ type: 'worker_lost', worker: place, cause, pauseMs });
      await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };
  const listening = (place: number): Promise<number> => {
    const listens = new Promise<number>((resolve) => void keep(place, resolve));
    return Promise.race([listens, failed.promise]);
  };

  return {
    failed: failed.promise,
    async start() {
      const found = await listening(1);
      pauses.begin();
      // Port 0, any that is free, is shared under that name.
      if (environment.PORT !== '0') port = { PORT: String(found) };
      await Promise.all(Array.from({ length: count - 1 }, (_, index) => listening(index + 2)));
      return found;
    },
    async snapshots() {
      const asked = [...running].map(async ([place, { call }]) => {
        const snapshot = await call('snapshot', '', snapshotTimeoutMs).catch(() => undefined);
        return snapshot === undefined ? [] : [[String(place), snapshot as Snapshot] as const];
      });
      return new Map((await Promise.all(asked)).flat());
    },
    async stop(signal, timeoutMs) {
      stopping.abort();
      const all = [...running.values()];
      for (const { call } of all) call('stop', signal, timeoutMs).catch(() => undefined);
      const areEnded = Promise.all(all.map(({ ended }) => ended)).then(() => true);
      const areInTime = await Promise.race([areEnded, sleep(timeoutMs, false, { ref: false })]);
      if (!areInTime) for (const { worker } of running.values()) worker.process.kill('SIGKILL');
      return areInTime;
    },
  };
}

function fork(environment: Readonly<Record<string, string>>, answers: Answers): Running {
  const worker = cluster.fork(environment);
  // One that cannot be reached is one that ends.
  worker.on('error', () => undefined);
  const ended = new Promise<string>((resolve) => {
    worker.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  return { worker, call: createCalls(worker, answers), ended };
}

/** How long to wait before a worker is replaced. */
function createPauses() {
  let diedAtMs = Number.NEGATIVE_INFINITY;
  let deaths = 0;
  // Until the first has listened, none may fail.
  let failedStarts = failedStartsMax;
  return {
    begin() {
      failedStarts = 0;
    },
    /** Milliseconds; undefined: it is of no use. */
    next(hasListened: boolean): number | undefined {
      failedStarts = hasListened ? 0 : failedStarts + 1;
      if (failedStarts > failedStartsMax) return undefined;
      deaths = performance.now() - diedAtMs > quietMs ? 0 : deaths + 1;
      diedAtMs = performance.now();
      return Math.min(pauseMaxMs, firstPauseMs * 2 ** deaths);
    },
  };
}
