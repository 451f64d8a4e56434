import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config.ts';
import type { Observe } from '../domain/observation.ts';
import { createLog } from '../log.ts';
import { createCopy } from '../repair/copy.ts';
import { createRepair, type Repair } from '../repair/repair-pass.ts';
import { describeDown, openDatabases, startDatabases } from './databases.ts';
import { nextSignal } from './next-signal.ts';
import { print } from './print.ts';
import { createProgress } from './progress.ts';
import { parseSelection } from './selection.ts';

const lookEveryMs = 1_000;

/** A database that takes no copies is tried again, in case that it was about to. */
const failuresMax = 3;

/** What `--help` prints. */
export const repairHelp = `usage: m2pg repair [--match PATTERN] [--from TIME] [--to TIME] [--dry-run]

Compares the databases of DATABASE_URLS and copies to each what it lacks and another holds. The service does so by itself,
all the time; this does it once, now, and tells what it did. Left out, the options mean everything.

  --match PATTERN  only names that match: a regular expression as of GET /metrics
  --from TIME      from the hour of this instant: Unix seconds, RFC 3339, now, or relative: -90s -15m -1h -7d -2w
  --to TIME        to the hour of this instant; give relative ones as --from=-7d
  --dry-run        only tell what is missing where

Differences that are seconds old are waited for: they may be writes on their way. The exit code is 0 when all databases were
reached and nothing is missing any more, else 1; of a dry run, when nothing is missing.
`;

/** Repairs once, as `repairHelp` says. */
export async function repairOnce(config: Config, args: readonly string[]): Promise<void> {
  const now = () => Date.now() / 1000;
  const selection = { nameOption: 'match', flags: ['dry-run'], help: repairHelp, now: now() } as const;
  const { query, flags } = parseSelection(args, selection);
  const isDryRun = flags.has('dry-run');
  const progress = createProgress(process.stderr);
  const copied = new Map<string, number>();
  const log = createLog(config.logLevel === 'info' ? 'warn' : config.logLevel, process.stderr);
  const observe: Observe = (observation) => {
    log(observation);
    if (observation.type === 'repaired') add(copied, observation.database, observation.summaries);
    progress.show(undefined, describe(copied, 'got'));
  };
  const stopping = new AbortController();
  nextSignal().then(() => stopping.abort());

  const opened = await openDatabases(config, observe, { isGuest: true });
  await startDatabases(opened);
  const repair = createRepair({
    copies: opened.databases.map((database) => createCopy({ database, observe })),
    memory: opened.memory,
    retentionSeconds: config.retentionSeconds,
    now,
    observe,
    namePattern: query.namePattern,
    range: { from: query.from, until: query.to },
    isDryRun,
    signal: stopping.signal,
  });
  const { missing, hasFailed } = await passUntilDone(repair, stopping.signal);
  progress.clear();
  const down = describeDown(opened);
  await opened.close();

  const reached = opened.databases.length - down.length;
  const isAlone = reached < 2;
  if (isAlone) process.stderr.write(`nothing to compare: repair needs two databases, and has ${reached || 'none'}\n`);
  else await print(`${isDryRun ? describe(missing, 'lacks') : describe(copied, 'got')}\n`);
  for (const line of down) process.stderr.write(`${line}\n`);
  if (stopping.signal.aborted) process.stderr.write('broken off: it was stopped\n');
  const isEqual = !isAlone && !hasFailed && (!isDryRun || missing.size === 0);
  if (stopping.signal.aborted || down.length > 0 || !isEqual) process.exitCode = 1;
}

/** Until every slice that differed at the first look is equal or was tried as it is. */
async function passUntilDone(repair: Repair, signal: AbortSignal) {
  const missing = new Map<string, number>();
  let first: ReadonlySet<number> | undefined;
  for (let failures = 0; !signal.aborted; ) {
    const pass = await repair.pass();
    for (const [name, count] of Object.entries(pass.missing)) add(missing, name, count);
    first ??= new Set(pass.untried);
    const isDone = !pass.untried.some((from) => first?.has(from));
    failures += pass.hasFailed ? 1 : 0;
    if (isDone || failures === failuresMax) return { missing, hasFailed: failures > 0 };
    await sleep(lookEveryMs, undefined, { signal }).catch(() => undefined);
  }
  return { missing, hasFailed: false };
}

function add(counts: Map<string, number>, name: string, count: number): void {
  counts.set(name, (counts.get(name) ?? 0) + count);
}

function describe(counts: ReadonlyMap<string, number>, verb: string): string {
  if (counts.size === 0) return 'nothing is missing';
  return [...counts].map(([name, count]) => `${name} ${verb} ${count.toLocaleString('en')} summaries`).join(', ');
}
