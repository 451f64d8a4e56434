import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { faults } from '../../torture/faults/faults.ts';
import type { Ground } from '../../torture/ground.ts';
import type { FaultOperation } from '../../torture/history.ts';
import { createRandom } from '../../torture/random.ts';
import { runSchedule } from '../../torture/schedule.ts';
import { settingsFor } from '../../torture/settings.ts';

/** Its time goes by so much faster. */
const speed = 200;

/** Lets faults of all kinds happen to nobody, for three minutes. */
async function runOnNothing(
  seed: number,
  begin: () => Promise<unknown> = async () => undefined,
  opening?: string,
): Promise<FaultOperation[]> {
  const happened: FaultOperation[] = [];
  const begun = performance.now();
  const harmless = faults.map((fault) => ({ ...fault, begin: () => begin().then(() => async () => undefined) }));
  const first = harmless.find(({ name }) => name === opening);
  await runSchedule({
    ground: { settings: settingsFor(seed, []) } as Ground,
    random: createRandom(seed),
    durationMs: 180_000,
    faults: harmless,
    opening: first && { fault: first, target: 0, lastsMs: 20_000 },
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

const clockFaults = new Set(faults.filter(({ isOfClock }) => isOfClock).map(({ name }) => name));
const destructive = faults.filter(({ isDestructive }) => isDestructive).map(({ name }) => name);

test('faults of different kinds overlap, of which no two hit the same; what destroys data is alone', async () => {
  const pairs = pairsOf((await runOnNothing(1)).filter(({ fault }) => !clockFaults.has(fault)));
  const mixed = pairs.filter(([one, other]) => one.fault !== other.fault);
  expect(mixed.length).toBeGreaterThan(2);
  expect(pairs.filter(([one, other]) => one.target === other.target)).toEqual([]);
  expect(mixed.filter(([one, other]) => [one, other].some(({ fault }) => destructive.includes(fault)))).toEqual([]);
});

test('one clock at a time is wrong, whatever else happens, but while data is destroyed', async () => {
  const pairs = pairsOf(await runOnNothing(1));
  const withClock = pairs.filter(([one, other]) => clockFaults.has(one.fault) || clockFaults.has(other.fault));
  expect(withClock.length).toBeGreaterThan(2);
  expect(withClock.filter(([one, other]) => clockFaults.has(one.fault) && clockFaults.has(other.fault))).toEqual([]);
  expect(withClock.filter(([one, other]) => [one, other].some(({ fault }) => destructive.includes(fault)))).toEqual([]);
});

test('what is so from the first is first, and keeps others away from what it is of', async () => {
  const happened = await runOnNothing(1, undefined, 'older-version');
  const first = happened.find(({ fault }) => fault === 'older-version');
  expect(first).toMatchObject({ target: 'service1', beganMs: 0 });
  expect(first?.endedMs).toBeGreaterThan(20_000);
  const ofClocks = happened.filter(({ fault }) => clockFaults.has(fault));
  expect(ofClocks.length).toBeGreaterThan(0);
  for (const { beganMs } of ofClocks) expect(beganMs).toBeGreaterThanOrEqual(first?.endedMs ?? Infinity);
});

test('what waits for everything to be free is not passed by for ever', async () => {
  const happened = await runOnNothing(2);
  expect(happened.filter(({ fault }) => destructive.includes(fault)).length).toBeGreaterThan(0);
});

test('a fault that cannot be begun ends it, when the others are healed', async () => {
  let begun = 0;
  const refuseThird = async () => {
    begun += 1;
    if (begun === 3) throw new Error('no link');
  };
  await expect(runOnNothing(1, refuseThird)).rejects.toThrow('no link');
  // The other tracks may have begun one each, of three targets at most.
  expect(begun).toBeLessThanOrEqual(9);
});
