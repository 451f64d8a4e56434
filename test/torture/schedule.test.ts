import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { faults } from '../../torture/faults.ts';
import type { Ground } from '../../torture/ground.ts';
import type { FaultOperation } from '../../torture/history.ts';
import { createRandom } from '../../torture/random.ts';
import { runSchedule } from '../../torture/schedule.ts';

/** Its time goes by so much faster. */
const speed = 200;

/** Lets faults of all kinds happen to nobody, for three minutes. */
async function runOnNothing(
  seed: number,
  begin: () => Promise<unknown> = async () => undefined,
): Promise<FaultOperation[]> {
  const happened: FaultOperation[] = [];
  const begun = performance.now();
  await runSchedule({
    ground: {} as Ground,
    random: createRandom(seed),
    durationMs: 180_000,
    faults: faults.map((fault) => ({ ...fault, begin: () => begin().then(() => async () => undefined) })),
    areEqual: async () => true,
    clock: () => (performance.now() - begun) * speed,
    onFault: (fault) => happened.push(fault),
    sleep: (ms) => sleep(ms / speed),
  });
  return happened;
}

const pairsOf = (all: readonly FaultOperation[]) =>
  all.flatMap((one, index) =>
    all
      .slice(index + 1)
      .filter((other) => other.beganMs < one.endedMs && other.endedMs > one.beganMs)
      .map((other) => [one, other] as const),
  );

test('faults of different kinds overlap, of which no two hit the same; what destroys data is alone', async () => {
  const pairs = pairsOf(await runOnNothing(1));
  const mixed = pairs.filter(([one, other]) => one.fault !== other.fault);
  expect(mixed.length).toBeGreaterThan(2);
  expect(pairs.filter(([one, other]) => one.target === other.target)).toEqual([]);
  const destructive = faults.filter(({ isDestructive }) => isDestructive).map(({ name }) => name);
  expect(mixed.filter(([one, other]) => [one, other].some(({ fault }) => destructive.includes(fault)))).toEqual([]);
});

test('a fault that cannot be begun ends it, when the others are healed', async () => {
  let begun = 0;
  const refuseThird = async () => {
    begun += 1;
    if (begun === 3) throw new Error('no link');
  };
  await expect(runOnNothing(1, refuseThird)).rejects.toThrow('no link');
  // The other track may have begun one, of three targets at most.
  expect(begun).toBeLessThanOrEqual(6);
});
