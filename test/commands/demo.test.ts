import { describe, expect, test, vi } from 'vitest';
import { demoLines, telltaleNames } from '../../src/commands/demo-lines.ts';
import { valuesOf } from '../../src/http/receivers/logs/observations.ts';
import { linesOf } from '../../src/http/receivers/logs/syslog-frames.ts';
import { createRandom } from '../../torture/random.ts';
import { runToEnd } from '../support/finished-program.ts';
import { freshDatabaseUrl } from '../support/fresh-database.ts';
import { databaseUrls } from '../support/proxied-service.ts';
import { read } from '../support/service-client.ts';
import { eventually, runProgram, startService } from '../support/service-process.ts';

vi.setConfig({ testTimeout: 60_000 });

const secret = 'demo-secret-of-tests';

test('the lines of the demonstration are frames, nothing of them is broken, and the slow spell shows', () => {
  const begun = 1_700_000_000;
  const lines = [...linesOf(Buffer.from(demoLines(begun - 3_600, begun, begun, createRandom(1).next)))];
  expect(lines.length).toBeGreaterThan(5_000);
  const found = lines.flatMap((line) =>
    'problem' in line ? [line] : [...valuesOf(line, { prefix: undefined, sourcePrefix: undefined })],
  );
  expect(found.filter((value) => 'problem' in value)).toEqual([]);
  const names = new Set(found.flatMap((value) => ('name' in value ? [value.name] : [])));
  // As many as the page shows well at once, of those that it would show none of unasked.
  expect([...names].filter((name) => new RegExp(telltaleNames).test(name)).sort()).toEqual([
    'db.query;source=web.1',
    'db.query;source=web.2',
    'router.bytes',
    'router.connect',
    'router.service',
  ]);
  const meanOf = (from: number, until: number) => {
    const part = demoLines(begun + from, begun + until, begun, createRandom(1).next);
    const values = [...linesOf(Buffer.from(part))].flatMap((line) =>
      'problem' in line ? [] : [...valuesOf(line, { prefix: undefined, sourcePrefix: undefined })],
    );
    const queries = values.flatMap((value) =>
      'value' in value && value.name.startsWith('db.query') ? value.value : [],
    );
    return queries.reduce((sum, value) => sum + value, 0) / queries.length;
  };
  expect(meanOf(-1_400, -1_200)).toBeGreaterThan(3 * meanOf(-600, -400));
});

describe('m2pg demo', () => {
  test('runs the service, sends an hour and ends when it is to', async () => {
    const url = await freshDatabaseUrl();
    const { code, stdout } = await runToEnd(['demo', '--once'], [url], { env: { PORT: '0', HOST: '127.0.0.1' } });
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/^sent an hour of logs; look at http:\/\/localhost:\d+\/\?match=query%7Crouter$/m),
    ]);
    const service = await startService({ env: databaseUrls([url]) });
    expect((await read(service, { name: '^db\\.query;', from: '-2h', resolution: 'hour' })).count).toBeGreaterThan(
      4_000,
    );
  });

  test('sends to a service that runs, with the token in its URL, and goes on live', async () => {
    const env = { ...databaseUrls([await freshDatabaseUrl()]), TOKENS: `admin:${secret}` };
    const service = await startService({ env });
    const program = runProgram(['demo', service.url.replace('//', `//${secret}@`)]);
    await eventually(() => expect(program.output()).toMatch(/more follow/), 30_000);
    const valuesNow = async () => {
      const response = await fetch(`${service.url}/-/status`, { headers: { Authorization: `Bearer ${secret}` } });
      return ((await response.json()) as { logs: { values: number } }).logs.values;
    };
    const before = await valuesNow();
    await eventually(async () => expect(await valuesNow()).toBeGreaterThan(before));
    program.process.kill('SIGINT');
    expect(await program.exited()).toBe(0);
  });

  test('says what is wrong when it may not write, or with its arguments', async () => {
    const service = await startService({
      env: { ...databaseUrls([await freshDatabaseUrl()]), TOKENS: `write:${secret}` },
    });
    const refused = await runToEnd(['demo', service.url], []);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/401 .*unauthenticated/)]);
    for (const url of ['nonsense', `http://${secret}@host:99999`, `ftp://${secret}@host`, `${secret}@host`]) {
      const { code, stderr, stdout } = await runToEnd(['demo', url], []);
      expect([code, stderr]).toEqual([2, expect.stringMatching(/^URL: expected one such as http/)]);
      expect(stderr + stdout).not.toContain(secret);
    }
  });
});
