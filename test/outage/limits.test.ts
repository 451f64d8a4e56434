import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { createFragileServers, type FragileServer } from '../support/fragile-server.ts';
import { expectUndisturbed } from '../support/load.ts';
import { databaseUrls } from '../support/proxied-service.ts';
import { read, readComplete, statesOf } from '../support/service-client.ts';
import { eventually, type Service, startService } from '../support/service-process.ts';
import { patientMs, untilEqual } from '../support/stored.ts';

vi.setConfig({ testTimeout: 2 * patientMs });

let servers: [FragileServer, FragileServer];
let urls: [URL, URL];

beforeAll(async () => {
  servers = (await createFragileServers(2)) as [FragileServer, FragileServer];
});

afterEach(() => Promise.all(servers.map((server) => server.restore())));

afterAll(() => Promise.all((servers ?? []).map((server) => server.remove())));

async function startOn(): Promise<Service> {
  urls = (await Promise.all(servers.map((server) => server.createDatabase()))) as [URL, URL];
  const service = await startService({ env: databaseUrls(urls) });
  await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'up']));
  return service;
}

test.each([
  [6, 'fewer than m2pg would have'],
  [2, 'none of which is left for writes'],
])('a server that is restarted under load with %d connections, %s, disturbs no write, and catches up', async (most) => {
  const service = await startOn();
  const answers = await expectUndisturbed(service, async () => {
    await servers[1].stop();
    await servers[1].start({
      max_connections: String(most),
      superuser_reserved_connections: '0',
      reserved_connections: '0',
    });
  });
  const ids = answers.all.flatMap((answer) => answer.ids);
  if (most > 2) await untilEqual(urls, ids);
  expect(await read(service, {})).toMatchObject({ status: 200 });

  await servers[1].stop();
  await servers[1].start();
  await untilEqual(urls, ids);
  expect(await readComplete(service, {})).toMatchObject({ count: ids.length });
});
