/**
 * Makes what some writes need first, new names or a new week, apart from the batches of all other writes.
 *
 * 1. A write waits until everything it needs is made, or until its time is up. It may need several things.
 * 2. One loop makes them, some at a time, for all writes that wait: however many writes need a week, it is tried once.
 * 3. When a lock is in the way, the loop pauses and tries again, as long as somebody waits.
 * 4. When several things were tried together and failed, smaller parts of them are tried next, and the parts grow again with
 *    each success. What is locked when it is tried alone is tried alone from then on. So one name that is locked or refused keeps no
 *    other name from being made.
 * 5. Any other failure is that of the writes that wait for these things.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isLocked } from '../database/sqlstate.ts';
import { Failure, toFailure } from '../domain/failure.ts';

/** Beside the tenth of a second that a try may wait for a lock: a connection makes weeks and names in turn. */
const pauseMs = 150;

/** While other things can be made, those that are locked are tried this often. */
const heldEveryMs = 500;

/** What a maker makes, and how. */
export interface MakerOptions<Key> {
  /** What the keys stand for, as in `waited in vain for …`. */
  readonly describe: (keys: readonly Key[]) => string;
  /** Makes all of some, or none. Those that are there already are no failure. Rejects with a Failure. */
  readonly make: (keys: readonly Key[]) => Promise<void>;
  /** How many are tried together, at most. */
  readonly atOnceMax: number;
}

/** Makes things by their keys for those who wait. */
export interface Maker<Key> {
  /** The things that somebody waits for. */
  readonly wanted: ReadonlyMap<Key, unknown>;
  /** Resolves when all of them are made. Rejects with the Failure of the first that cannot be made, or `timeout`. */
  want(keys: Iterable<Key>, waitMs: number): Promise<void>;
}

/** Makes nothing until something is wanted. */
export function createMaker<Key>({ describe, make, atOnceMax }: MakerOptions<Key>): Maker<Key> {
  const { wanted, add, leave, settle, putLast } = createWaiters<Key>();
  let atOnce = atOnceMax;
  let isAtWork = false;
  let obstacle: Failure | undefined;
  const turns = createTurns(wanted);

  /** A lock is in the way, or one of several is refused: fewer are tried next. */
  const makeLess = async (keys: readonly Key[], failure: Failure) => {
    putLast(keys);
    atOnce = Math.max(1, keys.length >> 1);
    if (!isInTheWay(failure)) return;
    obstacle = failure;
    if (keys.length > 1) return;
    turns.noteLocked(keys);
    await sleep(pauseMs);
  };

  const makeSome = async () => {
    const keys = turns.next(atOnce);
    try {
      await make(keys);
      obstacle = undefined;
      atOnce = Math.min(atOnceMax, 2 * atOnce);
      turns.noteMade(keys);
      settle(keys);
    } catch (error) {
      const failure = toFailure(error);
      const isFinal = !isInTheWay(failure) && (keys.length === 1 || !isOfSome(failure));
      if (isFinal) settle(keys, failure);
      else await makeLess(keys, failure);
    }
  };

  const work = async () => {
    if (isAtWork) return;
    isAtWork = true;
    while (wanted.size > 0) await makeSome();
    turns.noteDone();
    isAtWork = false;
  };

  const timeoutOf = (missing: ReadonlySet<Key>): Failure => {
    const why = obstacle ? ', which a lock keeps from being made' : '';
    return new Failure('timeout', `waited in vain for ${describe([...missing])}${why}`, { cause: obstacle?.cause });
  };

  return {
    wanted,
    async want(keys, waitMs) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const waiter: Waiter<Key> = {
        missing: new Set(keys),
        settle: (failure) => (failure ? reject(failure) : resolve()),
      };
      if (waiter.missing.size === 0) return;
      const timer = setTimeout(() => reject(timeoutOf(waiter.missing)), waitMs);
      add(waiter);
      void work();
      await promise.finally(() => {
        clearTimeout(timer);
        leave(waiter);
      });
    },
  };
}

/** Whose turn it is: what was locked when it was tried alone is tried alone from then on, now and then. */
function createTurns<Key>(wanted: ReadonlyMap<Key, unknown>) {
  const locked = new Set<Key>();
  let lockedTriedAtMs = Number.NEGATIVE_INFINITY;
  return {
    next(atOnce: number): Key[] {
      const [free, held] = [[], []] as [Key[], Key[]];
      for (const key of wanted.keys()) (locked.has(key) ? held : free).push(key);
      const isTurnOfHeld = held.length > 0 && performance.now() - lockedTriedAtMs > heldEveryMs;
      if (free.length > 0 && !isTurnOfHeld) return free.slice(0, atOnce);
      lockedTriedAtMs = performance.now();
      return held.slice(0, 1);
    },
    noteLocked(keys: readonly Key[]) {
      for (const key of keys) locked.add(key);
    },
    noteMade(keys: readonly Key[]) {
      for (const key of keys) locked.delete(key);
    },
    noteDone: () => locked.clear(),
  };
}

/** It goes by itself. */
function isInTheWay(failure: Failure): boolean {
  return isLocked(failure) || failure.code === 'conflict';
}

interface Waiter<Key> {
  readonly missing: Set<Key>;
  readonly settle: (failure?: Failure) => void;
}

/** Who waits for what. */
function createWaiters<Key>() {
  const wanted = new Map<Key, Set<Waiter<Key>>>();
  return {
    wanted,
    add(waiter: Waiter<Key>) {
      for (const key of waiter.missing) wanted.set(key, (wanted.get(key) ?? new Set()).add(waiter));
    },
    leave(waiter: Waiter<Key>) {
      for (const key of waiter.missing) {
        const waiters = wanted.get(key);
        waiters?.delete(waiter);
        if (waiters?.size === 0) wanted.delete(key);
      }
    },
    /** They are made, or cannot be. */
    settle(keys: readonly Key[], failure?: Failure) {
      for (const key of keys) {
        for (const { missing, settle } of wanted.get(key) ?? []) {
          if (!failure) missing.delete(key);
          if (failure || missing.size === 0) settle(failure);
        }
        wanted.delete(key);
      }
    },
    /** They come after all others. */
    putLast(keys: readonly Key[]) {
      for (const key of keys) {
        const waiters = wanted.get(key);
        wanted.delete(key);
        if (waiters) wanted.set(key, waiters);
      }
    },
  };
}

/** The failure may be that of one of them alone, such as a name that a trigger refuses. */
function isOfSome({ code }: Failure): boolean {
  return code === 'data_refused';
}
