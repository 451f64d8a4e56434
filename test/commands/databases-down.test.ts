import { expect, test, vi } from 'vitest';
import { runToEnd } from '../support/finished-program.ts';
import { freshDatabaseUrl } from '../support/fresh-database.ts';

// Each runs the program several times.
vi.setConfig({ testTimeout: 90_000 });

const unreachable = new URL('postgres://nobody@127.0.0.1:9/none');
const input = `${JSON.stringify({ name: 'a', bucket: Math.floor(Date.now() / 1000), value: 1 })}\n`;

/** What is printed besides the log. */
const withoutLog = (text: string) => text.replace(/^\{"level".*\n/gm, '');

const downLine = (name: string) => `${name} is left out: it cannot be reached\n`;

test.each([
  [['verify'], 'nothing was verified: no database could be reached\n'],
  [['repair'], 'nothing to compare: repair needs two databases, and has none\n'],
  [['migrate'], 'nothing was migrated: no database could be reached\n'],
  [['export'], 'broken off: no database answered\n'],
  [['import', '-'], 'broken off: 0 of 2 databases have committed, 1 needed; what is valid up to line 0 is stored\n'],
  [['delete', '--match', 'a', '--yes'], 'nothing was deleted: no database could be reached\n'],
  [['delete', '--name', 'a', '--yes'], '0 of 2 databases have noted the deletion, 1 needed\n'],
])('%j with all databases down says so, which they are and why, and exits with 1', async (args, message) => {
  const { code, stdout, stderr } = await runToEnd(args, [unreachable, unreachable].map(withPort), { input });
  expect([code, withoutLog(stdout)]).toEqual([1, args.includes('--name') ? 'a\n' : '']);
  for (const line of [message, downLine('db1'), downLine('db2')]) expect(withoutLog(stderr)).toContain(line);
  expect(stdout + stderr).toMatch(/connect ECONNREFUSED 127\.0\.0\.1:9/);
});

/** Two URLs of one database are refused. */
function withPort(url: URL, index: number): URL {
  const other = new URL(url);
  other.pathname = `/none${index}`;
  return other;
}

test('with one of two databases down, each command says what it did and what that leaves, and its exit code tells', async () => {
  const urls = [await freshDatabaseUrl({ isMigrated: false }), unreachable];
  const down = downLine('db2');
  const outcomes: Record<string, readonly [number, string, string]> = {};
  for (const args of [
    ['migrate'],
    ['import', '-'],
    ['verify'],
    ['repair'],
    ['export'],
    ['delete', '--name', 'a', '--yes'],
  ]) {
    const { code, stdout, stderr } = await runToEnd(args, urls, { input });
    outcomes[args[0] ?? ''] = [code, withoutLog(stdout), withoutLog(stderr)];
  }
  expect(outcomes).toEqual({
    migrate: [0, '1 of 2 databases are up to date\n', down],
    import: [
      0,
      '',
      expect.stringMatching(`^stored 1 summaries, .*, each in 1 or more of 2 databases; refused 0 lines\n${down}$`),
    ],
    verify: [
      1,
      'verified 1 summaries of 1 hours in 1 of 2 databases: its digests and roll-ups are what it holds; there was no other to compare it with\n',
      down,
    ],
    repair: [1, '', `nothing to compare: repair needs two databases, and has 1\n${down}`],
    export: [
      1,
      expect.stringMatching(/^\{"name":"a",.*\}\n$/),
      `incomplete: db2 did not answer for all of it (unreachable)\n${down}exported 1 summaries\n`,
    ],
    delete: [0, 'a\na: db1 deleted 1 summaries, db2 follows when it is back (unreachable)\n', down],
  });
});

test('a single database is no comparison', async () => {
  const { code, stdout } = await runToEnd(['verify'], [await freshDatabaseUrl()]);
  expect([code, stdout]).toEqual([
    1,
    expect.stringMatching(/in 1 database: .*there was no other to compare it with\n$/),
  ]);
});
