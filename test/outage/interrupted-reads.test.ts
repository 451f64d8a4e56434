import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createFragileServers, type FragileServer } from '../support/fragile-server.ts';
import { databaseUrls } from '../support/proxied-service.ts';
import { point, type ReadAnswer, read, statesOf, write } from '../support/service-client.ts';
import { eventually, startService } from '../support/service-process.ts';
import { patientMs, untilEqual } from '../support/stored.ts';

vi.setConfig({ testTimeout: 2 * patientMs });

/** A page each, so that a read is nearly always in the middle of them. */
const namesCount = 300;
const readers = 4;

let servers: FragileServer[];

beforeAll(async () => {
  servers = await createFragileServers(3);
});

afterAll(() => Promise.all((servers ?? []).map((server) => server.remove())));

test('reads of many pages go on while one database after the other is killed in the middle of them', async () => {
  const urls = await Promise.all(servers.map((server) => server.createDatabase()));
  const service = await startService({ env: databaseUrls(urls) });
  const names = Array.from({ length: namesCount }, (_, index) => point(`page.${index}`));
  const { ids } = await write(service, names);
  await untilEqual(urls, ids);

  const answers: ReadAnswer[] = [];
  // So many buckets that a page holds one or two series.
  const from = String(Math.floor(Date.now() / 1000) - 10_500);
  let isOver = false;
  const reading = Array.from({ length: readers }, async () => {
    while (!isOver) answers.push(await read(service, { name: '^page', from, resolution: 'second' }));
  });
  for (const server of servers) {
    for (let kills = 0; kills < 3; kills += 1) {
      const before = answers.length;
      await eventually(() => expect(answers.length).toBeGreaterThan(before + readers));
      await server.kill();
      await server.start();
      await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'up', 'up']));
    }
  }
  isOver = true;
  await Promise.all(reading);
  for (const answer of answers) {
    expect(answer).toMatchObject({ status: 200, count: namesCount });
    expect(answer.complete).toBe(String(answer.databases === 'db1=ok, db2=ok, db3=ok'));
  }
  expect(answers.some(({ complete }) => complete === 'false')).toBe(true);
});
