import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { choose } from '../../torture/faults/faults.ts';
import { plantIn, plants } from '../../torture/plants.ts';
import { createRandom } from '../../torture/random.ts';

test.each(plants)('"$name" can still be planted, and its faults exist', async (plant) => {
  const folder = await plantIn(join(import.meta.dirname, '../..'), plant);
  await rm(folder, { recursive: true });
  expect(() => choose(plant.faults)).not.toThrow();
});

test('the same seed gives the same numbers, another one others', () => {
  const numbers = (seed: number) => {
    const random = createRandom(seed);
    return Array.from({ length: 20 }, () => random.below(1_000));
  };
  expect(numbers(1)).toEqual(numbers(1));
  expect(numbers(1)).not.toEqual(numbers(2));
  expect(new Set(numbers(3)).size).toBeGreaterThan(15);
});
