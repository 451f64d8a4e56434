/**
 * When which fault happens to whom. Two tracks of faults run beside each other, each with pauses, so that a fault meets
 * others of another kind that began before it and end after it. What a fault is about to hit is taken first, all at once;
 * no two faults hit the same database or service. One that destroys data takes everything, and so is alone.
 */
import { setTimeout as sleepFor } from 'node:timers/promises';
import type { Fault } from './faults.ts';
import type { Ground } from './ground.ts';
import type { FaultOperation } from './history.ts';
import { createRandom, type Random } from './random.ts';

/** Long enough for monitors and time limits to see it, short enough that many fit in. */
const durationMinMs = 1_000;
const durationMaxMs = 7_000;

/**
 * Of each track, by how many of three databases or links its faults may hit at once, and how long it pauses between them.
 * The second one is the rarer: where more was hit than a write can do without, checkers have nothing to expect.
 */
const tracks = [
  { targetsMax: 3, pauseMaxMs: 2_500 },
  { targetsMax: 1, pauseMaxMs: 10_000 },
] as const;

type Track = (typeof tracks)[number];

const databaseNames = ['db1', 'db2', 'db3'];
const everything: readonly string[] = [...databaseNames, 'service1', 'service2', 'service3'];

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
  /** Resolves with whether all databases hold the same. */
  readonly areEqual: () => Promise<boolean>;
  /** Milliseconds since the begin. */
  readonly clock: () => number;
  readonly onFault: (fault: FaultOperation) => void;
  readonly sleep?: (ms: number) => Promise<unknown>;
}

/** What the tracks have in common. */
interface Running extends Required<ScheduleOptions> {
  /** What is hit now. */
  readonly taken: Set<string>;
  endMs: number;
}

/**
 * Lets faults happen until the time is up; resolves when all are healed. Of the same random numbers each track makes the
 * same faults in the same order.
 *
 * @throws What a fault that cannot be begun or healed rejects with, when the others are healed.
 */
export async function runSchedule(options: ScheduleOptions): Promise<void> {
  const { random, durationMs, clock, sleep = sleepFor } = options;
  const running: Running = { ...options, sleep, taken: new Set(), endMs: clock() + durationMs };
  const runs = tracks.map((track) => runTrack(track, createRandom(random.below(2 ** 32)), running));
  await Promise.allSettled(runs);
  await Promise.all(runs);
}

async function runTrack({ targetsMax, pauseMaxMs }: Track, random: Random, running: Running): Promise<void> {
  const { faults, clock, sleep } = running;
  try {
    while (clock() < running.endMs) {
      const fault = random.pick(faults);
      const targets = targetsOf(fault, targetsMax, random);
      const lasting = targets.map((target) => ({
        target,
        ms: durationMinMs + random.below(durationMaxMs - durationMinMs),
      }));
      const names = fault.isDestructive ? everything : targets.flatMap((target) => targetNames(fault, target));
      await holding(names, running, async () => {
        if (fault.isDestructive && !(await becomeEqual(running))) return;
        await Promise.all(
          lasting.map(({ target, ms }) => happen(fault, target, fault.isDestructive ? 0 : ms, random, running)),
        );
      });
      await sleep(random.below(pauseMaxMs));
    }
  } catch (error) {
    running.endMs = Number.NEGATIVE_INFINITY;
    throw error;
  }
}

/** Does something while nobody else hits any of these; not when the time is up before that. */
async function holding(names: readonly string[], running: Running, act: () => Promise<unknown>): Promise<void> {
  const { taken, clock, sleep } = running;
  while (names.some((name) => taken.has(name))) await sleep(lookEveryMs);
  if (clock() >= running.endMs) return;
  for (const name of names) taken.add(name);
  try {
    await act();
  } finally {
    for (const name of names) taken.delete(name);
  }
}

/** Mostly one, sometimes two, now and then all three. */
function targetsOf({ of, target, isDestructive }: Fault, targetsMax: number, random: Random): number[] {
  if (target !== undefined) return [target];
  const chance = random.next();
  if (of === 'databases') return [0];
  const count = chance < 0.6 || of === 'service' || isDestructive ? 1 : chance < 0.85 ? 2 : 3;
  const first = random.below(3);
  return Array.from({ length: Math.min(count, targetsMax) }, (_, index) => (first + index) % 3);
}

async function happen(fault: Fault, target: number, lastsMs: number, random: Random, running: Running): Promise<void> {
  const { ground, clock, onFault, sleep } = running;
  const beganMs = clock();
  const heal = await fault.begin(ground, target, random);
  if (!heal) return;
  await sleep(lastsMs);
  await heal();
  for (const name of targetNames(fault, target)) {
    onFault({ type: 'fault', fault: fault.name, target: name, beganMs, endedMs: clock() });
  }
}

/** @returns Whether all databases have come to hold the same in time. */
async function becomeEqual({ areEqual, clock, sleep }: Running): Promise<boolean> {
  const deadlineMs = clock() + equalWithinMs;
  while (!(await areEqual())) {
    if (clock() > deadlineMs) return false;
    await sleep(500);
  }
  return true;
}

function targetNames({ of }: Fault, target: number): string[] {
  if (of === 'databases') return [...databaseNames, `service${target + 1}`];
  return [`${of === 'service' ? 'service' : 'db'}${target + 1}`];
}
