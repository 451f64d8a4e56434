import { randomUUID } from 'node:crypto';
import { expect, inject, onTestFinished, test, vi } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import type { Observation } from '../../src/domain/observation.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { summaryOf } from '../support/summaries.ts';

vi.setConfig({ testTimeout: 60_000 });

const ignore = () => undefined;
const server = () => new URL(inject('postgresUrl'));

interface Ground {
  /** As a superuser. */
  readonly admin: URL;
  /** As a role that may connect, and no more. Its name and that of the database need quotes. */
  readonly url: URL;
  readonly role: string;
}

async function prepare({ isMigrated = false } = {}): Promise<Ground> {
  const role = `role ${randomUUID()}`;
  await runSql(server(), `create role "${role}" login password 'first'`);
  const admin = await freshDatabaseUrl({ isMigrated });
  // Before the database is dropped.
  onTestFinished(async () => {
    await runSql(admin, `reassign owned by "${role}" to current_user; drop owned by "${role}"`);
    await runSql(server(), `reassign owned by "${role}" to current_user; drop owned by "${role}"; drop role "${role}"`);
  });
  const url = new URL(admin);
  [url.username, url.password] = [encodeURIComponent(role), 'first'];
  return { admin, url, role };
}

/** As an owner of everything, the way a role is when the database was made for it. */
const own = ({ admin, role }: Ground) => runSql(admin, `alter schema public owner to "${role}"`);

/** What is wrong at first, and on whose behalf the statement of the failure is run. */
const cases: Readonly<Record<string, (ground: Ground) => Promise<unknown>>> = {
  'that may not create anything in its schema': async () => undefined,
  'that may not use its schema': ({ admin }) => runSql(admin, 'revoke all on schema public from public'),
  'that may not connect': async (ground) => {
    await own(ground);
    await runSql(ground.admin, `revoke connect on database ${ground.admin.pathname.slice(1)} from public`);
  },
  'whose schema is not there': ({ admin }) => runSql(admin, 'drop schema public'),
  'that may use the tables of somebody else, but does not own them': async ({ admin, role }) => {
    const { status } = await freshDatabase({ url: admin });
    expect(status().state).toBe('up');
    await runSql(
      admin,
      `grant all on schema public to "${role}"; grant all on all tables in schema public to "${role}"`,
    );
  },
  'that may not read one of its tables': async (ground) => {
    await migrateAs(ground);
    await runSql(ground.admin, `revoke select on summaries from "${ground.role}"`);
  },
  'that may not write to one of its tables': async (ground) => {
    await migrateAs(ground);
    await runSql(ground.admin, `revoke insert on digests from "${ground.role}"`);
  },
  'from which a policy hides rows': async (ground) => {
    await migrateAs(ground);
    await runSql(
      ground.admin,
      `alter table summaries enable row level security; alter table summaries force row level security;
       create policy "only some" on summaries using (count > 5)`,
    );
  },
};

async function migrateAs(ground: Ground): Promise<void> {
  await own(ground);
  const database = await freshDatabase({ url: ground.url });
  expect(database.status().state).toBe('up');
  await createPostgresStore({ database, observe: ignore }).write([summaryOf()]);
  await database.close();
}

/** The statement that a failure names, at the end of it. */
function statementOf(database: Database): string {
  const [, statement] =
    / run ((CREATE|GRANT|ALTER) .*?)(, or .*)?$/.exec(database.status().lastFailure?.message ?? '') ?? [];
  if (statement === undefined) throw new Error(`no statement in ${database.status().lastFailure?.message}`);
  return statement;
}

test.each(Object.entries(cases))(
  'a role %s is told of once, as an operator must act, and what to run; then it is used',
  async (_, breakIt) => {
    const ground = await prepare();
    await breakIt(ground);
    const observations: Observation[] = [];
    const observe = (observation: Observation) => void observations.push(observation);
    const database = await freshDatabase({ url: ground.url, observe });
    const { state, lastFailure } = database.status();
    expect(state).toBe('down');
    expect(lastFailure?.code).toBeOneOf(['permission_denied', 'database_missing']);
    await new Promise((done) => setTimeout(done, 3_000));
    expect(observations.map(({ type }) => type)).toEqual(['database_down']);

    await runSql(ground.admin, statementOf(database));
    await vi.waitUntil(() => database.status().state === 'up', { timeout: 30_000 });
    const store = createPostgresStore({ database, observe: ignore });
    const { id } = summaryOf();
    await store.write([summaryOf({ id, count: 1 })]);
    const { summaries } = await store.select({ namePattern: undefined, from: 0, to: 4e9 });
    expect(summaries.map((summary) => summary.id)).toContain(id);
  },
);

test('a database that is not there is for an operator, who is told how to make it', async () => {
  const { url, role } = await prepare();
  url.pathname = `/${encodeURIComponent(`missing "${role}"`)}`;
  const database = await freshDatabase({ url });
  expect(database.status()).toMatchObject({ state: 'down', lastFailure: { code: 'database_missing' } });
  await runSql(server(), statementOf(database));
  onTestFinished(async () => {
    await database.close();
    await runSql(server(), `drop database "missing ""${role}""" with (force)`);
  });
  await vi.waitUntil(() => database.status().state === 'up', { timeout: 30_000 });
});

test('a role that is not there is one that the server refuses', async () => {
  const { url } = await prepare();
  url.username = 'nobody-of-that-name';
  expect((await freshDatabase({ url })).status()).toMatchObject({
    state: 'down',
    lastFailure: { code: 'authentication', message: 'refuses this user' },
  });
});

test('a privilege that is taken away while a database is used is told of by what to run, and used again when it is back', async () => {
  const ground = await prepare();
  await own(ground);
  const database = await freshDatabase({ url: ground.url });
  const store = createPostgresStore({ database, observe: ignore });
  await store.write([summaryOf()]);
  await runSql(ground.admin, `alter schema public owner to current_user; revoke all on schema public from public`);
  await runSql(ground.admin, `grant usage on schema public to "${ground.role}"`);
  // Of a week that has no partition yet.
  const old = summaryOf({ bucket: Date.parse('2024-01-08T00:00:00Z') / 1_000 });
  await expect(store.write([old])).rejects.toMatchObject({
    code: 'permission_denied',
    message: expect.stringContaining(`run GRANT USAGE, CREATE ON SCHEMA "public" TO "${ground.role}"`),
  });
  // Who needs no new week notices nothing.
  await store.write([summaryOf()]);
  await runSql(ground.admin, statementOf(database));
  await vi.waitFor(() => store.write([old]), { timeout: 30_000, interval: 500 });
});

test('a role that may make no temporary tables is told what to run when it needs one', async () => {
  const ground = await prepare();
  await own(ground);
  await runSql(ground.admin, `revoke temporary on database ${ground.admin.pathname.slice(1)} from public`);
  const database = await freshDatabase({ url: ground.url });
  expect(database.status().state).toBe('up');
  const name = ground.admin.pathname.slice(1);
  await expect(database.query('repair', { text: 'create temporary table short (one int)' })).rejects.toMatchObject({
    code: 'permission_denied',
    message: expect.stringContaining(`as its owner, run GRANT TEMPORARY ON DATABASE "${name}" TO "${ground.role}"`),
  });
});
