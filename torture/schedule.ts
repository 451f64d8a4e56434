import { setTimeout as sleep } from 'node:timers/promises';
import { type Fault, faults } from './faults.ts';
import type { Ground } from './ground.ts';
import type { FaultOperation } from './history.ts';
import type { Random } from './random.ts';

/** Long enough for monitors and time limits to see it, short enough that many fit in. */
const durationMinMs = 1_000;
const durationMaxMs = 7_000;

const pauseMaxMs = 2_500;

export interface ScheduleOptions {
  readonly ground: Ground;
  readonly random: Random;
  readonly durationMs: number;
  readonly writeAcks: number;
  /** Names of faults; all that are allowed when left out. */
  readonly only?: readonly string[] | undefined;
  /** Resolves with whether all databases hold the same. */
  readonly areEqual: () => Promise<boolean>;
  /** Milliseconds since the begin. */
  readonly clock: () => number;
  readonly onFault: (fault: FaultOperation) => void;
}

/** Lets faults happen, one or several at a time, until the time is up; resolves when all are healed. */
export async function runSchedule(options: ScheduleOptions): Promise<void> {
  const { random, durationMs, clock } = options;
  const endMs = clock() + durationMs;
  while (clock() < endMs) {
    const fault = random.pick(allowed(options));
    if (fault.isDestructive) await destroy(fault, options);
    else await Promise.all(targetsOf(fault, random).map((target) => happen(fault, target, options)));
    await sleep(random.below(pauseMaxMs));
  }
}

function allowed({ only, writeAcks }: ScheduleOptions): Fault[] {
  return faults.filter(({ name, isDestructive }) => (only ? only.includes(name) : !isDestructive || writeAcks > 1));
}

/** Mostly one, sometimes two, now and then all three. */
function targetsOf({ of, target }: Fault, random: Random): number[] {
  if (target !== undefined) return [target];
  const chance = random.next();
  if (of === 'databases') return [0];
  const count = chance < 0.6 || of === 'service' ? 1 : chance < 0.85 ? 2 : 3;
  const first = random.below(3);
  return Array.from({ length: count }, (_, index) => (first + index) % 3);
}

async function happen(fault: Fault, target: number, options: ScheduleOptions): Promise<void> {
  const { ground, random, clock, onFault } = options;
  const lastsMs = durationMinMs + random.below(durationMaxMs - durationMinMs);
  const beganMs = clock();
  const heal = await fault.begin(ground, target, random);
  if (!heal) return;
  await sleep(lastsMs);
  await heal();
  for (const name of targetNames(fault, target)) {
    onFault({ type: 'fault', fault: fault.name, target: name, beganMs, endedMs: clock() });
  }
}

/** Alone, and not before every database holds everything. */
async function destroy(fault: Fault, options: ScheduleOptions): Promise<void> {
  const { ground, random, clock, onFault, areEqual } = options;
  const deadlineMs = clock() + 60_000;
  while (!(await areEqual())) {
    if (clock() > deadlineMs) return;
    await sleep(500);
  }
  const target = random.below(3);
  const beganMs = clock();
  const heal = await fault.begin(ground, target, random);
  await heal?.();
  onFault({ type: 'fault', fault: fault.name, target: `db${target + 1}`, beganMs, endedMs: clock() });
}

function targetNames({ of }: Fault, target: number): string[] {
  if (of === 'databases') return ['db1', 'db2', 'db3', `service${target + 1}`];
  return [`${of === 'service' ? 'service' : 'db'}${target + 1}`];
}
