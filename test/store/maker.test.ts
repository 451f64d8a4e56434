import { DatabaseError } from 'pg';
import { expect, test } from 'vitest';
import { Failure } from '../../src/domain/failure.ts';
import { createMaker } from '../../src/store/maker.ts';
import { eventually } from '../support/service-process.ts';

function locked(): Failure {
  const cause = new DatabaseError('canceling statement due to lock timeout', 0, 'error');
  cause.code = '55P03';
  return new Failure('timeout', 'did not answer in time', { cause });
}

/** A maker, what it has tried, and what each try meets. */
function prepare(meets: (keys: readonly string[]) => Failure | undefined, atOnceMax = 100) {
  const tries: string[][] = [];
  const maker = createMaker<string>({
    describe: (keys) => keys.join(' and '),
    atOnceMax,
    async make(keys) {
      tries.push([...keys]);
      await new Promise((resolve) => setTimeout(resolve, 5));
      const failure = meets(keys);
      if (failure) throw failure;
    },
  });
  return { maker, tries };
}

test('makes a thing once, however many wait for it', async () => {
  const { maker, tries } = prepare(() => undefined);
  await Promise.all(Array.from({ length: 10 }, () => maker.want(['a'], 1_000)));
  expect(tries).toEqual([['a']]);
  expect(maker.wanted.size).toBe(0);
});

test('tries again while a lock is in the way, once for all who wait, and ends when nobody waits any more', async () => {
  let isLocked = true;
  const { maker, tries } = prepare(() => (isLocked ? locked() : undefined));
  const waits = Array.from({ length: 5 }, () => maker.want(['a'], 400));
  const settled = await Promise.allSettled(waits);
  expect(settled.map(({ status }) => status)).toEqual(waits.map(() => 'rejected'));
  expect(settled[0]).toMatchObject({
    reason: { code: 'timeout', message: expect.stringMatching(/in vain for a, .*lock/) },
  });
  expect(tries.length).toBeLessThanOrEqual(4);
  expect(maker.wanted.size).toBe(0);
  await eventually(async () => {
    const before = tries.length;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(tries.length).toBe(before);
  });
  const patient = maker.want(['a'], 5_000);
  await eventually(() => expect(tries.length).toBeGreaterThan(0));
  isLocked = false;
  await patient;
});

test('whoever waits for several things waits for the last of them', async () => {
  const { maker, tries } = prepare(() => undefined, 1);
  await maker.want(['a', 'b', 'c'], 1_000);
  expect(tries).toEqual([['a'], ['b'], ['c']]);
});

test.each([
  ['is locked', locked],
  ['is refused', () => new Failure('data_refused', 'refused the data')],
])('makes all others when one of them %s', async (_, failure) => {
  const { maker } = prepare((keys) => (keys.includes('odd') ? failure() : undefined));
  const odd = maker.want(['odd'], 3_000);
  const names = Array.from({ length: 50 }, (_unused, index) => `n${index}`);
  const others = Promise.all(names.map((name) => maker.want([name], 3_000)));
  await expect(odd).rejects.toMatchObject({ code: failure().code });
  await others;
});

test('fails at once for a failure that is none of the things, and makes them when it is over', async () => {
  let isDown = true;
  const { maker, tries } = prepare(() => (isDown ? new Failure('unreachable', 'cannot be reached') : undefined));
  const waits = ['a', 'b'].map((key) => maker.want([key], 10_000));
  for (const wait of waits) await expect(wait).rejects.toMatchObject({ code: 'unreachable' });
  expect(tries.length).toBeLessThanOrEqual(2);
  isDown = false;
  await maker.want(['a', 'b'], 1_000);
});
