/**
 * When which fault happens to whom. Tracks of faults run beside each other, each with pauses, so that a fault meets
 * others of another kind that began before it and end after it. What a fault is about to hit is taken first, all at once;
 * no two faults hit the same database or service, and whoever waits longer is first. A clock that is wrong meets everything.
 * What destroys data takes everything, and so is alone.
 */
import { setTimeout as sleepFor } from 'node:timers/promises';
import { allNeeds, type Fault, takenNames, targetNames, usualGraceMs } from './faults/fault.ts';
import type { Ground } from './ground.ts';
import type { FaultOperation } from './history.ts';
import { createRandom, type Random } from './random.ts';

/** Long enough for monitors and time limits to see it, short enough that many fit in. */
const usualLength = { minMs: 1_000, maxMs: 7_000 };

/** A clock is not seen to be wrong at once. */
const clockLength = { minMs: 4_000, maxMs: 12_000 };

/**
 * Of each track, by how many of three databases or links its faults may hit at once, and how long it pauses between them.
 * The second one is the rarer: where more was hit than a write can do without, checkers have nothing to expect.
 */
const tracks = [
  { isOfClocks: false, targetsMax: 3, pauseMaxMs: 2_500 },
  { isOfClocks: false, targetsMax: 1, pauseMaxMs: 10_000 },
  { isOfClocks: true, targetsMax: 1, pauseMaxMs: 6_000 },
] as const;

type Track = (typeof tracks)[number];

/** How often a track looks whether its next targets are free. */
const lookEveryMs = 50;

/** Before data is destroyed. */
const equalWithinMs = 60_000;

export interface ScheduleOptions {
  readonly ground: Ground;
  readonly random: Random;
  readonly durationMs: number;
  /** Those that may happen. */
  readonly faults: readonly Fault[];
  /** What is so from the first, before anything else. */
  readonly opening?: { readonly fault: Fault; readonly target: number; readonly lastsMs: number } | undefined;
  /** Resolves with whether all databases hold the same. */
  readonly areEqual: () => Promise<boolean>;
  /** Milliseconds since the begin. */
  readonly clock: () => number;
  readonly onFault: (fault: FaultOperation) => void;
  readonly sleep?: (ms: number) => Promise<unknown>;
}

/** What the tracks have in common. */
interface Running extends ScheduleOptions {
  readonly sleep: (ms: number) => Promise<unknown>;
  /** What is hit now. */
  readonly taken: Set<string>;
  /** What is waited for, the longest first. */
  readonly waiting: Set<readonly string[]>;
  endMs: number;
}

/**
 * Lets faults happen until the time is up; resolves when all are healed. Of the same random numbers each track makes the
 * same faults in the same order.
 *
 * @throws What a fault that cannot be begun or healed rejects with, when the others are healed.
 */
export async function runSchedule(options: ScheduleOptions): Promise<void> {
  const { random, durationMs, clock, opening, faults, sleep = sleepFor } = options;
  const running: Running = { ...options, sleep, taken: new Set(), waiting: new Set(), endMs: clock() + durationMs };
  const first = opening ? [runOne(opening.fault, [{ ...opening, beganMs: 0 }], random, running)] : [];
  const ofTracks = tracks.map((track) => {
    const ofTrack = faults.filter(({ isOfClock = false }) => isOfClock === track.isOfClocks);
    const itsRandom = createRandom(random.below(2 ** 32));
    return ofTrack.length > 0 ? runTrack(track, ofTrack, itsRandom, running) : sleep(durationMs);
  });
  const runs = [...first, ...ofTracks];
  await Promise.allSettled(runs);
  await Promise.all(runs);
}

async function runTrack(
  { targetsMax, pauseMaxMs }: Track,
  faults: readonly Fault[],
  random: Random,
  running: Running,
): Promise<void> {
  const { clock, sleep } = running;
  while (clock() < running.endMs) {
    const fault = random.pick(faults);
    const { minMs, maxMs } = fault.isOfClock ? clockLength : usualLength;
    const lasting = targetsOf(fault, targetsMax, random, running.ground).map((target) => ({
      target,
      lastsMs: fault.isDestructive ? 0 : minMs + random.below(maxMs - minMs),
    }));
    await runOne(fault, lasting, random, running);
    await sleep(random.below(pauseMaxMs));
  }
}

interface Lasting {
  readonly target: number;
  readonly lastsMs: number;
  /** Since when it is so, if it began before. */
  readonly beganMs?: number;
}

async function runOne(fault: Fault, lasting: readonly Lasting[], random: Random, running: Running): Promise<void> {
  try {
    const names = new Set(lasting.flatMap(({ target }) => takenNames(fault, target)));
    await holding([...names], running, async () => {
      if (fault.isDestructive && !(await becomeEqual(running))) return;
      await Promise.all(lasting.map((one) => happen(fault, one, random, running)));
    });
  } catch (error) {
    running.endMs = Number.NEGATIVE_INFINITY;
    throw error;
  }
}

/** Does something while nobody else hits any of these; not when the time is up before that. */
async function holding(names: readonly string[], running: Running, act: () => Promise<unknown>): Promise<void> {
  const { taken, waiting, clock, sleep } = running;
  const isFree = () => {
    const earlier = [...waiting].slice(0, [...waiting].indexOf(names)).flat();
    return !names.some((name) => taken.has(name) || earlier.includes(name));
  };
  waiting.add(names);
  while (!isFree() && clock() < running.endMs) await sleep(lookEveryMs);
  waiting.delete(names);
  if (clock() >= running.endMs) return;
  for (const name of names) taken.add(name);
  try {
    await act();
  } finally {
    for (const name of names) taken.delete(name);
  }
}

/** Mostly one, sometimes two, now and then all three. */
function targetsOf(fault: Fault, targetsMax: number, random: Random, { settings }: Ground): number[] {
  const { of, targetOf, isDestructive } = fault;
  const only = targetOf?.(settings);
  if (only !== undefined) return [only];
  const chance = random.next();
  const first = random.below(3);
  const isOfOne = of === 'service' || of === 'databases and service' || of === 'everything' || isDestructive;
  const count = of === 'databases' || isOfOne || chance < 0.6 ? 1 : chance < 0.85 ? 2 : 3;
  return Array.from({ length: Math.min(count, targetsMax) }, (_, index) => (first + index) % 3);
}

async function happen(fault: Fault, lasting: Lasting, random: Random, running: Running): Promise<void> {
  const { ground, clock, onFault, sleep } = running;
  const { target, lastsMs, beganMs = clock() } = lasting;
  const heal = await fault.begin(ground, target, random);
  if (!heal) return;
  await sleep(lastsMs);
  await heal();
  const { hits = allNeeds, edgeHits = [], graceMs = usualGraceMs, isOfClock = false, isDestructive = false } = fault;
  for (const name of targetNames(fault, target)) {
    const lasted = { fault: fault.name, target: name, beganMs, endedMs: clock(), detail: heal.detail };
    onFault({ type: 'fault', ...lasted, hits, edgeHits, graceMs, isOfClock, isDestructive });
  }
}

/** @returns Whether all databases have come to hold the same in time, and before the end. */
async function becomeEqual({ areEqual, clock, sleep, endMs }: Running): Promise<boolean> {
  const deadlineMs = Math.min(clock() + equalWithinMs, endMs);
  while (!(await areEqual())) {
    if (clock() > deadlineMs) return false;
    await sleep(500);
  }
  return true;
}
