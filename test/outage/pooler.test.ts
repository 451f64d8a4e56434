import { describe, expect, inject, test, vi } from 'vitest';
import { freshDatabaseUrl } from '../support/fresh-database.ts';
import { expectUndisturbed } from '../support/load.ts';
import { hasPooler, startPooler, whyNoPooler } from '../support/pooler.ts';
import { databaseUrls } from '../support/proxied-service.ts';
import { point, read, readComplete, statesOf, write } from '../support/service-client.ts';
import { eventually, runProgram, type Service, startService } from '../support/service-process.ts';
import { patientMs, untilEqual } from '../support/stored.ts';

vi.setConfig({ testTimeout: 2 * patientMs });

const server = () => new URL(inject('postgresUrl'));

const linesOf = ({ output }: Pick<Service, 'output'>, pattern: RegExp) =>
  output()
    .split('\n')
    .filter((line) => pattern.test(line));

const lastFailureOf = async ({ url }: Service, index: number) =>
  ((await (await fetch(`${url}/-/status`)).json()) as { databases: { lastFailure: unknown; pooler: boolean }[] })
    .databases[index];

describe.skipIf(!hasPooler)(`a service with a database behind PgBouncer${whyNoPooler}`, () => {
  test('writes, reads, repairs, and is undisturbed when the pooler is killed and when it is back', async () => {
    const urls = (await Promise.all([freshDatabaseUrl(), freshDatabaseUrl()])) as [URL, URL];
    const pooler = await startPooler(server(), { default_pool_size: '40' });
    const given = databaseUrls([urls[0], pooler.urlOf(urls[1])]);
    const service = await startService({ env: given });
    await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'up']));
    expect(linesOf(service, /db2 is up, behind a pooler in session mode/)).toHaveLength(1);
    expect(await lastFailureOf(service, 1)).toMatchObject({ pooler: true, lastFailure: null });

    const down = await expectUndisturbed(service, () => pooler.kill());
    expect(await read(service, {})).toMatchObject({ status: 200, complete: 'false' });
    const up = await expectUndisturbed(service, () => pooler.start());
    const ids = [...down.all, ...up.all].flatMap((answer) => answer.ids);
    await untilEqual(urls, ids);
    expect(await readComplete(service, {})).toMatchObject({ count: ids.length });
    for (const command of ['migrate', 'repair', 'verify', 'export']) {
      const program = runProgram([command], { env: given });
      expect([command, await program.exited()]).toEqual([command, 0]);
      if (command === 'export') expect(linesOf(program, /"name":"load"/)).toHaveLength(ids.length);
    }
  });

  test.each(['transaction', 'statement'])('does not start with pool_mode = %s, and says why', async (mode) => {
    const urls = (await Promise.all([freshDatabaseUrl(), freshDatabaseUrl()])) as [URL, URL];
    const pooler = await startPooler(server(), { pool_mode: mode });
    const env = { ...databaseUrls([urls[0], pooler.urlOf(urls[1])]), PORT: '0', HOST: '127.0.0.1' };
    for (const args of [[], ['migrate'], ['verify'], ['repair']]) {
      const program = runProgram(args, { env });
      expect(await program.exited()).toBe(1);
      expect(linesOf(program, /^db2 is refused: it is behind a pooler .*set pool_mode = session/)).toHaveLength(1);
      expect(program.output()).not.toMatch(/listening/);
    }
  });

  test('leaves the database out when the pooler begins to share sessions under load, and uses it when it ends', async () => {
    const urls = (await Promise.all([freshDatabaseUrl(), freshDatabaseUrl()])) as [URL, URL];
    const pooler = await startPooler(server(), { default_pool_size: '40' });
    const service = await startService({ env: databaseUrls([urls[0], pooler.urlOf(urls[1])]) });
    await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'up']));
    const shared = await expectUndisturbed(service, () => pooler.reload({ pool_mode: 'transaction' }));
    await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'refused']));
    expect(await lastFailureOf(service, 1)).toMatchObject({ lastFailure: { code: 'unsupported_database' } });
    const complaints = linesOf(service, /db2 is left out: it is behind a pooler/);
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toMatch(/"level":"error"/);
    await pooler.reload({ pool_mode: 'session' });
    await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'up']));
    const { ids } = await write(service, point('after'));
    await untilEqual(urls, [...shared.all.flatMap((answer) => answer.ids), ...ids]);
  });
});
