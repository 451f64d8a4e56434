import { expect, test } from 'vitest';
import { createLease } from '../../src/repair/lease.ts';
import { prepareCopies } from '../support/copies.ts';
import { runSql } from '../support/fresh-database.ts';

async function prepare() {
  const { copies, urls } = await prepareCopies(1);
  const move = (until: string) => runSql(urls[0] as URL, `update repair_lease set until = now() + interval '${until}'`);
  return { first: createLease(() => copies), second: createLease(() => copies), move };
}

test('elects one until it is over or given back', async () => {
  const { first, second, move } = await prepare();
  expect([await first.take(), await second.take(), await first.take()]).toEqual([true, false, true]);
  await move('-1 second');
  expect([await second.take(), await first.take()]).toEqual([true, false]);
  await second.release();
  expect(await first.take()).toBe(true);
});

test.each(['16 seconds', '30 minutes', '400 days'])(
  'one that lies %s ahead, as after the clock of its database was set back, is over: no lease is as long',
  async (ahead) => {
    const { first, second, move } = await prepare();
    await first.take();
    await move('14 seconds');
    expect(await second.take()).toBe(false);
    await move(ahead);
    expect(await second.take()).toBe(true);
  },
);
