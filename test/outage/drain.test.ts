import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { counted } from '../support/drain.ts';
import { freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { databaseUrls } from '../support/proxied-service.ts';
import { read, statesOf } from '../support/service-client.ts';
import { eventually, type Service, startService } from '../support/service-process.ts';
import { patientMs, untilEqual } from '../support/stored.ts';

vi.setConfig({ testTimeout: patientMs });

/** A batch of log lines of now, in several buckets. */
const batchOf = (values: number, name = 'drained') =>
  Array.from({ length: values }, (_, index) => {
    const time = new Date(Date.now() - index * 1_000).toISOString();
    return counted(`<40>1 ${time} host app web.1 - measure#${name}=${index}ms source=web.${index % 3}\n`);
  }).join('');

const deliver = ({ url }: Service, body: string, frame: string) =>
  fetch(`${url}/logs`, { method: 'POST', body, headers: { 'Logplex-Frame-Id': frame } });

test('killed between the request of a drain and its answer: the batch, sent again, counts once', async () => {
  const urls = (await Promise.all([freshDatabaseUrl(), freshDatabaseUrl()])) as [URL, URL];
  const values = 120;
  const rounds = [0, 2, 5, 10, 20];
  for (const [round, delayMs] of rounds.entries()) {
    const body = batchOf(values);
    const service = await startService({ env: databaseUrls(urls) });
    await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'up']));
    const lost = deliver(service, body, `frame ${round}`).catch(() => undefined);
    await sleep(delayMs);
    service.process.kill('SIGKILL');
    await Promise.all([lost, service.exited()]);
    const again = await startService({ env: databaseUrls(urls) });
    expect((await deliver(again, body, `frame ${round}`)).status).toBe(200);
    expect((await deliver(again, body, `frame ${round}`)).status).toBe(200);
    await eventually(async () => expect(await read(again, {})).toMatchObject({ count: (round + 1) * values }));
    again.process.kill('SIGTERM');
    await again.exited();
  }
  const last = await startService({ env: databaseUrls(urls) });
  await untilEqual(urls, []);
  expect(await read(last, {})).toMatchObject({ count: rounds.length * values, complete: 'true' });
});

test('units that a database missed are told by the others, and copied along with what it missed', async () => {
  const urls = (await Promise.all([freshDatabaseUrl(), freshDatabaseUrl()])) as [URL, URL];
  const service = await startService({ env: databaseUrls(urls) });
  await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'up']));
  await deliver(service, batchOf(3, 'unitless').replaceAll('ms source', ' source'), 'first');
  await deliver(service, batchOf(3, 'unitless'), 'second');
  const unitsOf = async () => {
    const answer = (await (await fetch(`${service.url}/metrics?name=unitless`)).json()) as { units?: string }[];
    return answer.map(({ units }) => units);
  };
  await eventually(async () => expect(await unitsOf()).toEqual(['ms', 'ms', 'ms']));
  // Not of one of them alone.
  await untilEqual(urls, []);
  await runSql(urls[0], 'update series set units = null');
  expect(await unitsOf()).toEqual(['ms', 'ms', 'ms']);
  await runSql(urls[0], 'delete from summaries');
  await eventually(async () => {
    expect(await runSql(urls[0], 'select distinct units from series')).toEqual([{ units: 'ms' }]);
  }, 40_000);
});
