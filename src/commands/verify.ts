import type { Config } from '../config.ts';
import { createLog } from '../log.ts';
import { createCopy } from '../repair/copy.ts';
import { type Finding, type VerifiedDay, verify } from '../repair/verify.ts';
import { describeDown, openDatabases, startDatabases } from './databases.ts';
import { nextSignal } from './next-signal.ts';
import { print } from './print.ts';
import { createProgress } from './progress.ts';
import { parseSelection } from './selection.ts';

const hourSeconds = 3_600;

/** What `--help` prints. */
export const verifyHelp = `usage: m2pg verify [--match PATTERN] [--from TIME] [--to TIME]

Reads all summaries of all databases of DATABASE_URLS and compares them, ids and content; and what each database keeps of
them, digests and roll-ups, with what it holds. Changes nothing. Left out, the options mean everything.

  --match PATTERN  only names that match: a regular expression as of GET /metrics; digests are not compared then
  --from TIME      from the hour of this instant: Unix seconds, RFC 3339, now, or relative: -90s -15m -1h -7d -2w
  --to TIME        to the hour of this instant; give relative ones as --from=-7d

Prints a line for each hour in which the databases hold different numbers, one for each summary that is missing somewhere
or says different things, and a last one for all. What is missing, m2pg repair copies. What differs nobody can decide but
you: delete it where it is wrong, and repair.

The exit code is 0 when all databases, two at least, were reached and agree, else 1.
`;

/** Verifies, as `verifyHelp` says. */
export async function verifyAll(config: Config, args: readonly string[]): Promise<void> {
  const now = Date.now() / 1000;
  const { namePattern, from, to } = parseSelection(args, { nameOption: 'match', help: verifyHelp, now }).query;
  const oldest = config.retentionSeconds === undefined ? 0 : Math.floor((now - config.retentionSeconds) / hourSeconds);
  const range = {
    from: Math.max(Math.floor(from / hourSeconds), oldest) * hourSeconds,
    until: (Math.floor(to / hourSeconds) + 1) * hourSeconds,
  };
  const observe = createLog(config.logLevel === 'info' ? 'warn' : config.logLevel, process.stderr);
  const progress = createProgress(process.stderr);
  const stopping = new AbortController();
  nextSignal().then(() => stopping.abort());

  const opened = await openDatabases(config, observe, { isGuest: true });
  await startDatabases(opened);
  const copies = opened.databases
    .map((database) => createCopy({ database, observe }))
    .filter((copy) => copy.isReadable());
  const names = copies.map(({ database }) => database.name);
  const total: Total = { summaries: 0, hours: 0, findings: new Map() };
  const days = copies.length > 0 ? verify({ copies, namePattern, range }) : [];
  for await (const day of days) {
    if (stopping.signal.aborted) break;
    progress.clear();
    for (const line of [...describeHours(day, names), ...day.findings.map(describeFinding)]) await print(`${line}\n`);
    addTo(total, day);
    progress.show(
      (day.from - range.from) / (range.until - range.from),
      `${total.summaries.toLocaleString('en')} summaries`,
    );
  }
  progress.clear();
  const down = describeDown(opened);
  await opened.close();

  if (copies.length > 0) await print(`${describeTotal(total, copies.length, opened.databases.length)}\n`);
  else process.stderr.write('nothing was verified: no database could be reached\n');
  for (const line of down) process.stderr.write(`${line}\n`);
  if (stopping.signal.aborted) process.stderr.write('broken off: it was stopped\n');
  const areEqual = copies.length > 1 && total.findings.size === 0;
  if (stopping.signal.aborted || down.length > 0 || !areEqual) process.exitCode = 1;
}

interface Total {
  summaries: number;
  hours: number;
  readonly findings: Map<string, number>;
}

function describeTotal({ summaries, hours, findings }: Total, reached: number, databases: number): string {
  const where = `${reached === databases ? '' : `${reached} of `}${databases} database${databases === 1 ? '' : 's'}`;
  const found = [...findings].map(([type, count]) => `${count.toLocaleString('en')} ${type}`).join(', ');
  const isRight =
    reached > 1 ? 'they agree' : 'its digests and roll-ups are what it holds; there was no other to compare it with';
  const counted = `${summaries.toLocaleString('en')} summaries of ${hours.toLocaleString('en')} hours`;
  return `verified ${counted} in ${where}: ${found === '' ? isRight : found}`;
}

/** Of hours that lack something; in others a write came between one count and the next. */
function describeHours({ hours, findings }: VerifiedDay, names: readonly string[]): string[] {
  const lacking = new Set(findings.filter(({ type }) => type === 'missing').map(({ hour }) => hour));
  const areMore = findings.some(({ type }) => type === 'more');
  return [...hours]
    .filter(([hour, counts]) => (areMore || lacking.has(hour)) && counts.some((count) => count !== counts[0]))
    .map(
      ([hour, counts]) => `${at(hour)}  ${counts.map((count, index) => `${names[index]} holds ${count}`).join(', ')}`,
    );
}

function describeFinding(finding: Finding): string {
  const hour = at(finding.hour);
  switch (finding.type) {
    case 'missing':
      return `${hour}  ${finding.id} of ${finding.name} is missing in ${finding.in.join(', ')}`;
    case 'content':
      return `${hour}  ${finding.id} of ${finding.name} differs: ${finding.difference}`;
    case 'digest':
    case 'roll-up':
      return `${hour}  ${finding.in} keeps a ${finding.type} that is not what it holds`;
    case 'more':
      return `${hour}  more series differ in this day than are told of one by one`;
  }
}

const kinds = {
  missing: 'missing',
  content: 'with different content',
  digest: 'wrong digests',
  'roll-up': 'wrong roll-ups',
  more: 'days with more',
} as const;

function addTo(total: Total, day: VerifiedDay): void {
  for (const counts of day.hours.values()) total.summaries += Math.max(...counts);
  total.hours += day.hours.size;
  for (const { type } of day.findings) total.findings.set(kinds[type], (total.findings.get(kinds[type]) ?? 0) + 1);
}

function at(hour: number): string {
  return `${new Date(hour * 1000).toISOString().slice(0, 16)}Z`;
}
