import { expect, test, vi } from 'vitest';
import { nearest } from '../../src/commands/nearest.ts';
import { runToEnd } from '../support/finished-program.ts';

// Each runs the program several times.
vi.setConfig({ testTimeout: 90_000 });

const commands = ['serve', 'migrate', 'gc', 'import', 'export', 'repair', 'verify', 'delete', 'demo'];

/** Nothing of this needs a configuration. */
const runWith = (...args: string[]) => runToEnd(args, [], { env: { DATABASE_URLS: 'nonsense', PORT: 'nonsense' } });

test('--help lists all commands', async () => {
  const { code, stdout, stderr } = await runWith('--help');
  expect([code, stderr]).toEqual([0, '']);
  for (const command of commands) expect(stdout).toMatch(new RegExp(`^ {2}${command} +\\w`, 'm'));
  expect((await runWith('help')).stdout).toBe(stdout);
});

test.each(commands)('%s --help prints its usage and its exit codes', async (command) => {
  const { code, stdout, stderr } = await runWith(command, '--help');
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(new RegExp(`^usage: m2pg \\[?${command}\\b`));
  if (!['serve', 'gc', 'demo'].includes(command)) expect(stdout).toMatch(/exit code is 0/);
});

test('--version prints the version', async () => {
  const version = expect.stringMatching(/^m2pg \d+\.\d+\.\d+\n$/);
  expect(await runWith('--version')).toEqual({ code: 0, stdout: version, stderr: '' });
});

test.each([
  [['migrat'], /^unknown command migrat; did you mean migrate\?\nusage: m2pg \[COMMAND\]\n.* {2}gc +/s],
  [['Verify'], /^unknown command Verify; did you mean verify\?\n/],
  [['nonsense'], /^unknown command nonsense\nusage: /],
  [['constructor'], /^unknown command constructor\n/],
  [['--port', '80'], /^unknown option --port\nusage: .*environment variables/s],
  [['--versoin'], /^unknown option --versoin; did you mean --version\?\n/],
  [['help', 'exprot'], /^unknown command exprot; did you mean export\?\n/],
])('%j, which is no command, is answered with what there is and the exit code 2', async (args, message) => {
  expect(await runWith(...args)).toEqual({ code: 2, stdout: '', stderr: expect.stringMatching(message) });
});

test.each([
  [['gc', 'fast'], /^unexpected argument fast\nusage: m2pg gc\b/],
  [['serve', '8080'], /^unexpected argument 8080\nusage: m2pg \[serve\]/],
  [['migrate', '--dry-run'], /^unknown option --dry-run\nusage: m2pg migrate\n/],
  [['export', '--nmae', 'a'], /^unknown option --nmae; did you mean --name\?\nusage: m2pg export .*--name/],
  [['repair', '--dryrun'], /^unknown option --dryrun; did you mean --dry-run\?\n/],
  [['verify', '-m', 'a'], /^unknown option -m; did you mean --match\?\n/],
  [['verify', '--match'], /^Option '--match <value>' argument missing\n/],
  [['delete'], /^give --name or --match, one of them\n/],
  [['import'], /^expected one file, or - for the standard input, not 0\n/],
  [['export', '--from', 'yesterday'], /^--from: expected Unix seconds/],
])(
  '%j, with options that it does not take, is answered with those that it takes and the exit code 2',
  async (args, message) => {
    const { code, stdout, stderr } = await runToEnd(args, [new URL('postgres://nobody@127.0.0.1:9/none')]);
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringMatching(message)]);
  },
);

test('what is wrong with the configuration is no mistake of the usage: all of it is told, with the exit code 1', async () => {
  const { code, stderr } = await runWith('migrate');
  expect(code).toBe(1);
  expect(stderr.match(/^(PORT|DATABASE_URLS): /gm)).toHaveLength(2);
});

test('the nearest word is the one with the fewest mistakes, and none where there are many', () => {
  const near = (typed: string) => nearest(typed, commands);
  expect(['exprot', 'xport', 'inport', 'exp', 'verfy', 'g', 'dlete', 'migrrate'].map(near)).toEqual([
    'export',
    'export',
    'import',
    'export',
    'verify',
    'gc',
    'delete',
    'migrate',
  ]);
  expect(['', 'x', 'start', 'run', 'list'].map(near)).toEqual(Array(5).fill(undefined));
});
