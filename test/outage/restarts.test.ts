import { expect, test, vi } from 'vitest';
import { blockInserts } from '../support/block-inserts.ts';
import { freshDatabaseUrl } from '../support/fresh-database.ts';
import { startLoad } from '../support/load.ts';
import { databaseUrls } from '../support/proxied-service.ts';
import { point, read, write } from '../support/service-client.ts';
import { eventually, startService } from '../support/service-process.ts';
import { idsIn, patientMs, untilEqual } from '../support/stored.ts';

vi.setConfig({ testTimeout: patientMs });

const freshUrls = async () => (await Promise.all([1, 2, 3].map(() => freshDatabaseUrl()))) as [URL, URL, URL];

test('databases in another order, one fewer or one more: nothing is lost, and nothing counts twice', async () => {
  const [a, b, c] = await freshUrls();
  const bodies = [1, 2, 3].map((count) => Array.from({ length: count }, () => point('kept')));
  const ids = new Set<string>();
  for (const [round, urls] of [
    [a, b],
    [c, a],
    [b, c, a],
  ].entries()) {
    const service = await startService({ env: databaseUrls(urls) });
    // All that was sent to other databases before is sent again.
    for (const [place, body] of bodies.slice(0, round + 1).entries()) {
      const answer = await write(service, body, { 'Idempotency-Key': `body ${place}` });
      expect(answer.status).toBe(201);
      for (const id of answer.ids) ids.add(id);
    }
    // And one that is not: whoever is not there now is to get it from the others.
    for (const id of (await write(service, point('kept'))).ids) ids.add(id);
    const sent = bodies.slice(0, round + 1).flat().length + round + 1;
    expect(ids.size).toBe(sent);
    await eventually(async () => expect(await read(service, {})).toMatchObject({ count: sent, complete: 'true' }));
    if (round === 2) await untilEqual([a, b, c], [...ids]);
    service.process.kill('SIGTERM');
    expect(await service.exited()).toBe(0);
  }
  for (const url of [a, b, c]) expect(await idsIn(url)).toHaveLength(ids.size);
});

test('killed in the middle of writing to all, what was acknowledged is on every database after the restart', async () => {
  const urls = await freshUrls();
  const service = await startService({ env: databaseUrls(urls) });
  // All that is acknowledged is on its way to this one still.
  const release = await blockInserts(urls[2]);
  const load = await startLoad(service);
  service.process.kill('SIGKILL');
  await service.exited();
  const ids = await load.abandon();
  await release();
  expect(ids.length).toBeGreaterThan(50);
  const lacking = new Set(await idsIn(urls[2]));
  expect(ids.filter((id) => !lacking.has(id)).length).toBeGreaterThan(0);

  const restarted = await startService({ env: databaseUrls(urls.toReversed()) });
  await untilEqual(urls, ids);
  expect((await read(restarted, {})).count).toBe((await idsIn(urls[0])).length);
});
