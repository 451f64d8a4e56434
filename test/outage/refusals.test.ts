import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, inject, onTestFinished, test, vi } from 'vitest';
import { freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { expectUndisturbed, type LoadAnswers } from '../support/load.ts';
import { databaseUrls } from '../support/proxied-service.ts';
import { read, readComplete, statesOf } from '../support/service-client.ts';
import { eventually, type Service, startService } from '../support/service-process.ts';
import { patientMs, untilEqual } from '../support/stored.ts';
import type { TcpLink } from '../support/tcp-link.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

vi.setConfig({ testTimeout: patientMs });

const serverUrl = () => new URL(inject('postgresUrl'));

interface Ground {
  readonly service: Service;
  /** As a superuser, past all that is refused. */
  readonly urls: readonly URL[];
  /** In front of the second database, and the role by which the service connects to it. */
  readonly proxy: TcpLink;
  readonly role: string;
}

/** A service on three databases, of which the second is somebody's who is no superuser. */
async function startGround(): Promise<Ground> {
  const role = `role_${randomUUID().replaceAll('-', '')}`;
  await runSql(serverUrl(), `create role ${role} login password 'first'`);
  // After the database that it owns.
  onTestFinished(() => runSql(serverUrl(), `drop role ${role}`).then(() => undefined));
  const urls = await Promise.all([1, 2, 3].map((place) => freshDatabaseUrl({ isMigrated: place !== 2 })));
  const [a, b, c] = urls as [URL, URL, URL];
  await runSql(serverUrl(), `alter database ${b.pathname.slice(1)} owner to ${role}`);
  const proxy = await startTcpProxy(b);
  const asRole = new URL(proxy.url);
  [asRole.username, asRole.password] = [role, 'first'];
  const service = await startService({ env: { ...databaseUrls([a, asRole, c]), READ_TIMEOUT_MS: '8000' } });
  await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'up', 'up']));
  return { service, urls, proxy, role };
}

/** Ends the sessions of a role, as a restart does, but for those whose last query is like this. */
const endSessions = ({ role }: Ground, exceptLike = '') =>
  runSql(
    serverUrl(),
    'select pg_terminate_backend(pid, 1000) from pg_stat_activity where usename = $1 and query not like $2',
    [role, exceptLike],
  );

const sessionsOf = async ({ role }: Ground) =>
  Number((await runSql(serverUrl(), 'select count(*) from pg_stat_activity where usename = $1', [role]))[0]?.count);

async function expectConverged({ service, urls }: Ground, { all }: LoadAnswers): Promise<void> {
  const ids = all.flatMap((answer) => answer.ids);
  await untilEqual(urls, ids);
  await eventually(async () => {
    expect(await statesOf(service)).toEqual(['up', 'up', 'up']);
    expect(await read(service, {})).toMatchObject({ count: ids.length, complete: 'true' });
  });
}

test('a database that takes no writes after a failover is still read, and gets what it missed when it takes them', async () => {
  const ground = await startGround();
  const name = ground.urls[1]?.pathname.slice(1);
  const answers = await expectUndisturbed(ground.service, async () => {
    await runSql(serverUrl(), `alter database ${name} set default_transaction_read_only = on`);
    await endSessions(ground);
  });
  await eventually(async () => expect(await statesOf(ground.service)).toEqual(['up', 'read_only', 'up']));
  const answer = await readComplete(ground.service, {});
  expect(answer).toMatchObject({ count: answers.all.length, databases: 'db1=ok, db2=ok, db3=ok' });

  // Nobody ends the sessions that began as read-only.
  await runSql(serverUrl(), `alter database ${name} reset default_transaction_read_only`);
  await expectConverged(ground, answers);
});

test('a server without connections left gets no more of ours, nor a knock for each write', async () => {
  const ground = await startGround();
  const { service, proxy, role } = ground;
  // What is connected stays: one that watches, those of maintenance and repair. Writes and reads have none yet.
  await runSql(serverUrl(), `alter role ${role} connection limit 0`);
  // But for one that was let in the moment before.
  await sleep(300);
  const sessionsBefore = await sessionsOf(ground);
  const acceptedBefore = proxy.accepted;
  const answers = await expectUndisturbed(service, () => undefined);
  const reads = await Promise.all(Array.from({ length: 12 }, () => read(service, {})));
  for (const answer of reads) {
    expect(answer).toMatchObject({ status: 200, count: answers.all.length, complete: 'false' });
    expect(answer.databases).toBe('db1=ok, db2=too_many_connections, db3=ok');
  }
  expect(await statesOf(service)).toEqual(['up', 'up', 'up']);
  expect(await sessionsOf(ground)).toBeLessThanOrEqual(sessionsBefore);
  // Hundreds, if each write and each read knocked.
  expect(proxy.accepted - acceptedBefore).toBeLessThan(60);

  await runSql(serverUrl(), `alter role ${role} connection limit -1`);
  await expectConverged(ground, answers);
});

test('a password that was changed is complained of once, tried seldom, and takes effect when it is right again', async () => {
  const ground = await startGround();
  const { service, proxy, role } = ground;
  const answers = await expectUndisturbed(service, async () => {
    await runSql(serverUrl(), `alter role ${role} password 'second'`);
    // The session that watches goes on: others have to find it out.
    await endSessions(ground, '%pg_is_in_recovery%');
  });
  await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'down', 'up']));
  const acceptedBefore = proxy.accepted;
  const until = performance.now() + 5_000;
  while (performance.now() < until) {
    const answer = await read(service, {});
    expect(answer).toMatchObject({ status: 200, count: answers.all.length, complete: 'false' });
    expect(answer.databases).toBe('db1=ok, db2=authentication, db3=ok');
  }
  // Two tries, each by the two ways of `sslmode=prefer`.
  expect(proxy.accepted - acceptedBefore).toBeLessThanOrEqual(6);
  const complaints = service
    .output()
    .split('\n')
    .filter((line) => /db2 is left out: it refuses this user/.test(line));
  expect(complaints).toHaveLength(1);
  expect(complaints[0]).toMatch(/"level":"error"/);

  await runSql(serverUrl(), `alter role ${role} password 'first'`);
  await expectConverged(ground, answers);
});

test('a role that may not create tables is told of once, as an error, with what to run; until then the others serve', async () => {
  const role = `role_${randomUUID().replaceAll('-', '')}`;
  await runSql(serverUrl(), `create role ${role} login password 'first'`);
  const urls = [await freshDatabaseUrl(), await freshDatabaseUrl({ isMigrated: false })] as const;
  onTestFinished(async () => {
    await runSql(urls[1], `drop owned by ${role} cascade`);
    await runSql(serverUrl(), `drop role ${role}`);
  });
  const asRole = new URL(urls[1]);
  [asRole.username, asRole.password] = [role, 'first'];
  const service = await startService({ env: databaseUrls([urls[0], asRole]) });
  expect(await statesOf(service)).toEqual(['up', 'down']);
  const { all } = await expectUndisturbed(service, () => undefined, 500);
  const complaints = service
    .output()
    .split('\n')
    .filter((line) => /db2 is left out/.test(line));
  expect(complaints).toHaveLength(1);
  const grant = `GRANT USAGE, CREATE ON SCHEMA "public" TO "${role}"`;
  const { level, msg, code, stack } = JSON.parse(complaints[0] ?? '');
  expect({ level, code, stack }).toEqual({ level: 'error', code: 'permission_denied', stack: undefined });
  expect(msg).toMatch(new RegExp(`as the owner of schema "public", run ${grant}$`));
  expect(service.output()).not.toMatch(/ at \S+ \(/);
  await runSql(urls[1], grant);
  await untilEqual(
    urls,
    all.flatMap(({ ids }) => ids),
  );
});
