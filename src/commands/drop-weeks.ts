import { setTimeout as sleep } from 'node:timers/promises';
import { type Config, ConfigError } from '../config.ts';
import { compareClocks } from '../database/clocks.ts';
import type { Database } from '../database/database.ts';
import { maintain } from '../database/maintain.ts';
import { longestInUse, presentSeconds } from '../database/notes.ts';
import { Failure, toFailure } from '../domain/failure.ts';
import { createLog } from '../log.ts';
import { describeDown, openDatabases, startDatabases } from './databases.ts';
import { print } from './print.ts';

/** By weeks that have a partition; how many summaries are in them, by the digests. */
const findDue = `
  select to_char(monday, 'YYYY-MM-DD') as monday, (select coalesce(sum(summaries), 0)::float8 from digests
    where slice >= week_start(monday) and slice < week_start(monday + 7)) as summaries
  from summary_mondays() as monday where week_start(monday + 7) <= to_timestamp($1::float8) order by 1`;

/** Services that are not there any more, or have come back with a shorter RETENTION, keep nobody from dropping. */
const forgetLonger = `
  delete from settings_in_use
  where setting = 'retention_seconds' and value > $1 and used_at < clock_timestamp() - make_interval(secs => $2)`;

/** A pass of maintenance takes seconds. */
const triesMax = 20;
const triesEveryMs = 1_000;

interface DueWeek {
  readonly monday: string;
  readonly summaries: number;
}

/** Unix seconds now, and how long summaries are kept. */
interface PastWeeks {
  readonly now: number;
  readonly longest: number;
}

const ignore = () => undefined;

/**
 * Drops all weeks that are past RETENTION, however many, once. Does nothing while the clocks are apart, and nothing before all
 * databases are reached: what one of them still holds would be copied back to the others.
 */
export async function dropWeeks(config: Config, isDryRun: boolean): Promise<void> {
  if (config.retentionSeconds === undefined) throw new ConfigError(['RETENTION: is not set, so nothing is past it']);
  const observe = createLog(config.logLevel === 'info' ? 'warn' : config.logLevel, process.stderr);
  const opened = await openDatabases(config, observe, { isGuest: true });
  await startDatabases(opened);
  const { databases } = opened;
  const { leastNow, state, message } = compareClocks(databases, Date.now() / 1000);
  const longest = longestInUse(databases, 'retention_seconds', config.retentionSeconds, presentSeconds);
  const problems = [...(state === 'apart' ? [String(message)] : []), ...describeDown(opened)];
  const weeks = { now: leastNow, longest: longest ?? Number.POSITIVE_INFINITY };
  const isDone = problems.length === 0 && (await dropFrom(databases, weeks, isDryRun));
  await opened.close();
  if (longest !== config.retentionSeconds) {
    const kept = longest === undefined ? 'for ever' : `for ${longest / 86_400} days`;
    process.stderr.write(`a service of these databases keeps summaries ${kept}, or did within the last minute\n`);
  }
  for (const problem of problems) process.stderr.write(`nothing is dropped: ${problem}\n`);
  if (!isDone || longest !== config.retentionSeconds) process.exitCode = 1;
}

async function dropFrom(databases: readonly Database[], weeks: PastWeeks, isDryRun: boolean): Promise<boolean> {
  let isDone = true;
  for (const database of databases) {
    try {
      const { rows } = await database.query('maintain', { text: findDue, values: [weeks.now - weeks.longest] });
      const due: readonly DueWeek[] = rows;
      const dropped = isDryRun ? due.map(({ monday }) => monday) : await dropNow(database, weeks);
      const gone = due.filter(({ monday }) => dropped.includes(monday));
      await print(`${database.name} ${isDryRun ? 'would drop' : 'dropped'} ${describe(gone)}\n`);
      if (gone.length === due.length) continue;
      await print(`${database.name} still has ${due.length - gone.length} weeks: a read holds them, try again\n`);
      isDone = false;
    } catch (error) {
      process.stderr.write(`${database.name} was not maintained: it ${toFailure(error).message}\n`);
      isDone = false;
    }
  }
  return isDone;
}

/** Another process may be at it just now. */
async function dropNow(database: Database, { now, longest }: PastWeeks): Promise<readonly string[]> {
  await database.query('maintain', { text: forgetLonger, values: [longest, presentSeconds] });
  for (let tries = 1; ; tries += 1) {
    const { elected, dropped } = await maintain(database, { now, oldest: now - longest, advanceSeconds: null }, ignore);
    if (elected) return dropped;
    if (tries === triesMax) throw new Failure('timeout', 'is being maintained by another process all the time');
    await sleep(triesEveryMs);
  }
}

function describe(weeks: readonly DueWeek[]): string {
  const [first, last] = [weeks[0], weeks.at(-1)];
  if (first === undefined || last === undefined) return 'nothing';
  const summaries = weeks.reduce((sum, week) => sum + week.summaries, 0).toLocaleString('en');
  const count =
    weeks.length === 1 ? `the week of ${first.monday}` : `${weeks.length} weeks, ${first.monday} to ${last.monday}`;
  return `${count}: ${summaries} summaries`;
}
