import { expect, test } from 'vitest';
import { choose, possible } from '../../torture/faults/faults.ts';
import { parseSeeds } from '../../torture/seeds.ts';
import { conditions, settingsFor } from '../../torture/settings.ts';

const seeds = Array.from({ length: 40 }, (_, index) => index + 1);

test('each condition holds for some of forty seeds, and the same for the same seed', () => {
  for (const condition of Object.keys(conditions)) {
    const holding = seeds.filter((seed) => [...settingsFor(seed, undefined).has].some((one) => one === condition));
    expect(holding.length).toBeGreaterThan(5);
  }
  expect(settingsFor(7, undefined)).toEqual(settingsFor(7, undefined));
});

test('data is only destroyed where every service has WRITE_ACKS=2', async () => {
  const { faults } = choose(['kill', 'emptied']);
  const possibleOf = async (seed: number) => possible(faults, settingsFor(seed, undefined), '.');
  for (const seed of seeds) {
    const { services } = settingsFor(seed, undefined);
    const mayDestroy = services.every(({ writeAcks }) => writeAcks === 2);
    expect((await possibleOf(seed)).faults.map(({ name }) => name)).toEqual(
      mayDestroy ? ['kill', 'emptied'] : ['kill'],
    );
  }
  expect((await possibleOf(2)).leftOut).toEqual([
    'left out emptied: data is only destroyed where every service has WRITE_ACKS=2',
  ]);
});

test('the service that is of the version before keeps everything for ever, and asks for as many copies as any', () => {
  for (const seed of seeds) {
    const { services, olderAt } = settingsFor(seed, undefined);
    expect(services[olderAt]?.retention).toBeUndefined();
    expect(services[olderAt]?.writeAcks).toBe(Math.max(...services.map(({ writeAcks }) => writeAcks)));
  }
});

test('what a fault needs is there when it is named; of the rest nothing is', () => {
  const { faults, conditions: asked } = choose(['pooler-killed']);
  expect(faults.map(({ name }) => name)).toEqual(['pooler-killed']);
  expect([...settingsFor(1, asked).has]).toEqual(['pooler']);
});

test('an unknown name is refused, with those that are known', () => {
  expect(() => choose(['kil'])).toThrow(/^unknown: kil; known: .*kill.*deletes/);
});

test('seeds are a number or a range', () => {
  expect(parseSeeds('3')).toEqual([3]);
  expect(parseSeeds('3-5')).toEqual([3, 4, 5]);
  for (const wrong of ['', '5-3', '1,2', 'all']) expect(parseSeeds(wrong)).toBeUndefined();
});
