import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createFragileServer, createFragileServers, type FragileServer } from '../support/fragile-server.ts';
import { runSql } from '../support/fresh-database.ts';
import { expectUndisturbed } from '../support/load.ts';
import { databaseUrls } from '../support/proxied-service.ts';
import { point, read, statesOf, write } from '../support/service-client.ts';
import { eventually, startService } from '../support/service-process.ts';
import { idsIn, patientMs, untilEqual } from '../support/stored.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

vi.setConfig({ testTimeout: 2 * patientMs });

let others: FragileServer[];
let primary: FragileServer;

beforeAll(async () => {
  others = await createFragileServers(2);
  primary = await createFragileServer();
});

afterAll(() => Promise.all([...(others ?? []), primary].map((server) => server?.remove())));

const timelineOf = async ({ url }: FragileServer) =>
  Number((await runSql(url, 'select timeline_id from pg_control_checkpoint()'))[0]?.timeline_id);

const onServer = ({ url }: FragileServer, database: URL) => {
  const there = new URL(url);
  there.pathname = database.pathname;
  return there;
};

test('a standby that lags behind, promoted in place of its primary, gets what it lacks, and so does the old primary in its place again', async () => {
  const [a, c] = await Promise.all(others.map((server) => server.createDatabase()));
  const b = await primary.createDatabase();
  const standby = await primary.createStandby();
  try {
    // As the name of a host, or the address of a cluster, that leads to whatever is the primary.
    const leader = new URL(b);
    const proxy = await startTcpProxy(leader);
    const service = await startService({ env: databaseUrls([a as URL, proxy.url, c as URL]) });
    await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'up', 'up']));
    const first = await write(service, point('before'));
    await untilEqual([a as URL, b, c as URL], first.ids);
    const there = onServer(standby, b);
    await eventually(async () => expect(await idsIn(there)).toEqual(first.ids));

    // What is committed from now on, the standby never hears of.
    await standby.stop();
    const lost = await write(
      service,
      Array.from({ length: 50 }, () => point('lost')),
    );
    await untilEqual([a as URL, b, c as URL], [...first.ids, ...lost.ids]);
    const answers = await expectUndisturbed(service, async () => {
      await primary.kill();
      await standby.start();
      await runSql(standby.url, 'select pg_promote()');
      leader.port = standby.url.port;
      proxy.cut();
    });
    await runSql(standby.url, 'checkpoint');
    expect(await timelineOf(standby)).toBe(2);
    const all = [...first.ids, ...lost.ids, ...answers.all.flatMap(({ ids }) => ids)];
    await untilEqual([a as URL, there, c as URL], all);
    await eventually(async () => {
      expect(await statesOf(service)).toEqual(['up', 'up', 'up']);
      expect(await read(service, {})).toMatchObject({ count: all.length, complete: 'true' });
    });

    // It has what the other timeline lacks, and lacks what came since.
    await primary.start();
    expect(await timelineOf(primary)).toBe(1);
    const back = await expectUndisturbed(service, () => {
      leader.port = primary.url.port;
      proxy.cut();
    });
    await untilEqual([a as URL, b, c as URL], [...all, ...back.all.flatMap(({ ids }) => ids)]);
  } finally {
    await standby.remove();
  }
});
