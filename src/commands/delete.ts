import { createInterface } from 'node:readline/promises';
import type { Config } from '../config.ts';
import type { DeletionOutcome } from '../domain/deletion.ts';
import { Failure, toFailure } from '../domain/failure.ts';
import { latestUnixSeconds } from '../domain/instant.ts';
import { createLog } from '../log.ts';
import { type Copy, createCopy } from '../repair/copy.ts';
import { createDeleter } from '../repair/deletions.ts';
import { describeDown, openDatabases, startDatabases } from './databases.ts';
import { UsageError } from './parse-options.ts';
import { print } from './print.ts';
import { parseSelection } from './selection.ts';

/** What `--help` prints. */
export const deleteHelp = `usage: m2pg delete --name NAME | --match PATTERN [--from TIME] [--to TIME] [--dry-run] [--yes]

Deletes the summaries of a metric from all databases of DATABASE_URLS. A database that is away deletes them when it is back, and
none of them is copied back from one database to another. What is sent or imported afterwards stays, also with the same ids:
wrong data can be deleted and right data sent instead, and an export can be imported again.

  --name NAME      the whole name of one metric
  --match PATTERN  every name that matches: a regular expression as of GET /metrics
  --from TIME      first instant, inclusive: Unix seconds, RFC 3339, now, or relative: -90s -15m -1h -7d -2w
  --to TIME        last instant, inclusive; give relative ones as --from=-7d; both left out: all there is
  --dry-run        only print the names that would be deleted
  --yes            do not ask

The exit code is 0 when every deletion was noted by WRITE_ACKS databases at least, else 1.
`;

/** Deletes, as `deleteHelp` says. */
export async function deleteMetrics(config: Config, args: readonly string[]): Promise<void> {
  const { exactName, selection } = takeName(args);
  const { query, flags } = parseSelection(selection, {
    nameOption: 'match',
    flags: ['dry-run', 'yes'],
    help: deleteHelp,
    now: Date.now() / 1000,
    // Whatever our clock shows: a service whose clock was ahead took what looks like the future here.
    latest: latestUnixSeconds,
  });
  if ((exactName === undefined) === (query.namePattern === undefined)) {
    throw new UsageError(['give --name or --match, one of them', deleteHelp]);
  }
  const observe = createLog(config.logLevel === 'info' ? 'warn' : config.logLevel, process.stderr);
  const opened = await openDatabases(config, observe, { isGuest: true });
  await startDatabases(opened);
  const copies = opened.databases.map((database) => createCopy({ database, observe }));
  try {
    const names = exactName === undefined ? await namesMatching(copies, query.namePattern) : [exactName];
    await print(names.map((name) => `${name}\n`).join(''));
    if (flags.has('dry-run') || names.length === 0) return;
    if (!flags.has('yes') && !(await isConfirmed(names.length))) {
      process.exitCode = 1;
      return;
    }
    const askedAtMs = performance.now();
    const deleter = createDeleter({ copies, acks: config.writeAcks, memory: opened.memory });
    for (const name of names) {
      const { outcomes } = await deleter.delete({ name, from: query.from, to: query.to }, askedAtMs);
      await print(`${name}: ${outcomes.map(describe).join(', ')}\n`);
    }
  } finally {
    for (const line of describeDown(opened)) process.stderr.write(`${line}\n`);
    await opened.close();
  }
}

/** Takes `--name` out: it is no pattern, and may begin with a dash. */
function takeName(args: readonly string[]): { exactName: string | undefined; selection: string[] } {
  const at = args.findIndex((argument) => argument === '--name' || argument.startsWith('--name='));
  if (at === -1) return { exactName: undefined, selection: [...args] };
  const [argument = '', next] = args.slice(at);
  const isInOne = argument.startsWith('--name=');
  const exactName = isInOne ? argument.slice('--name='.length) : next;
  if (!exactName) throw new UsageError(['--name: expected the name of a metric', deleteHelp]);
  return { exactName, selection: args.toSpliced(at, isInOne ? 1 : 2) };
}

async function namesMatching(copies: readonly Copy[], pattern: string | undefined): Promise<string[]> {
  const statement = { text: 'select name from series where name ~ $1', values: [pattern] };
  const found = await Promise.allSettled(copies.map(({ database }) => database.query('repair', statement)));
  const given = found.filter((answer) => answer.status === 'fulfilled').map(({ value }) => value.rows);
  const failures = found.flatMap((answer) => (answer.status === 'rejected' ? [toFailure(answer.reason)] : []));
  // Of a pattern that PostgreSQL refuses, it says why.
  const refused = failures.find(({ code }) => code === 'invalid_pattern');
  if (given.length === 0)
    throw refused ?? new Failure('no_database', 'nothing was deleted: no database could be reached');
  return [...new Set(given.flat().map(({ name }) => String(name)))].toSorted();
}

async function isConfirmed(count: number): Promise<boolean> {
  if (!process.stdin.isTTY) {
    process.stderr.write('not deleted: nobody can be asked; give --yes\n');
    return false;
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`Delete ${count === 1 ? 'this metric' : `these ${count} metrics`}? [y/N] `);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}

function describe({ database, outcome, deleted, isDone }: DeletionOutcome): string {
  if (outcome !== 'ok') return `${database} follows when it is back (${outcome})`;
  return `${database} deleted ${deleted.toLocaleString('en')} summaries${isDone ? '' : ' so far, the rest follows'}`;
}
