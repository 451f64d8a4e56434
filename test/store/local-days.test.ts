import { expect, test } from 'vitest';
import { parseResolution, type Resolution } from '../../src/domain/resolution.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { createRedundantStore } from '../../src/store/redundant-store.ts';
import { prepareCopies } from '../support/copies.ts';
import { groupObviously, groupsOf } from '../support/group-obviously.ts';
import { summaryOf } from '../support/summaries.ts';

const observe = () => undefined;

test.each([
  ['America/Havana', '2025-11-02T04:00:00Z'],
  ['Asia/Gaza', '2021-10-28T21:00:00Z'],
  ['Atlantic/Azores', '2025-10-26T00:00:00Z'],
])(
  'a day of two midnights in %s is one and begins with the first, also where databases differ',
  async (timezone, midnight) => {
    const { copies, databases } = await prepareCopies(2);
    const first = Date.parse(midnight) / 1000;
    // The last second of the day before, both first hours, and noon.
    const summaries = [-1, 0, 1_800, 3_600, 5_400, 45_000].map((offset, index) =>
      summaryOf({ name: 'a', bucket: first + offset, count: 2 ** index }),
    );
    await Promise.all(copies.map(({ store }, place) => store.write(summaries.filter((_, at) => at !== place + 1))));
    const store = createRedundantStore({
      databases: databases.map((database) => ({
        name: database.name,
        store: createPostgresStore({ database, observe }),
      })),
      acks: 1,
      writeTimeoutMs: 30_000,
      readTimeoutMs: 30_000,
      observe,
    });
    for (const text of ['d', '2d', 'w', 'mo', 'y']) {
      const resolution = parseResolution(text) as Resolution;
      const query = { namePattern: undefined, from: 0, to: 4e9, timezone, namesMax: 10, resolution };
      const groups = await groupsOf(await store.aggregate(query));
      const expected = groupObviously(summaries, query);
      expect(groups.map(({ bucket, count }) => [bucket, count])).toEqual(
        expected.map(({ bucket, count }) => [bucket, count]),
      );
      if (text === 'd') {
        expect(groups.map(({ bucket, count }) => [bucket, count])).toEqual([
          [first - 86_400, 1],
          [first, 62],
        ]);
      }
    }
  },
);
