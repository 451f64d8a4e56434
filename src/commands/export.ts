import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Config } from '../config.ts';
import type { DatabaseOutcome } from '../domain/store.ts';
import type { Summary } from '../domain/summary.ts';
import { summaryToJson } from '../domain/summary-json.ts';
import { createLog } from '../log.ts';
import { describeDown, openDatabases, startDatabases } from './databases.ts';
import { nextSignal } from './next-signal.ts';
import { openStore } from './open-store.ts';
import { OutputClosedError, print } from './print.ts';
import { createProgress } from './progress.ts';
import { parseSelection } from './selection.ts';
import { type Slice, selectInSlices } from './time-slices.ts';

/** A slice of some thousand summaries is small; whoever exports would rather wait than have it incomplete. */
const readTimeoutMinMs = 60_000;

/** Lines per write. Less than a pipe holds, so that the number of printed summaries is nearly exact when the reader leaves. */
const linesAtOnce = 100;

/** What `--help` prints. */
export const exportHelp = `usage: m2pg export [--name PATTERN] [--from TIME] [--to TIME]

Prints the summaries of all databases of DATABASE_URLS as NDJSON, every one once, ordered by bucket: what the import
reads. Left out, the options mean everything.

  --name PATTERN   as of GET /metrics: a regular expression, matched anywhere in the name
  --from TIME      first instant, inclusive: Unix seconds, RFC 3339, now, or relative: -90s -15m -1h -7d -2w
  --to TIME        last instant, inclusive; give relative ones as --from=-7d

The exit code is 0 when every summary was printed; 1 when a database did not answer, and some may be missing, or the output
could not be written; 141 when the reader of the output closed it before the end, as head does.
`;

/** Prints summaries, as `exportHelp` says. */
export async function exportSummaries(config: Config, args: readonly string[]): Promise<void> {
  const now = Date.now() / 1000;
  const { from, ...query } = parseSelection(args, { nameOption: 'name', help: exportHelp, now }).query;
  const { retentionSeconds } = config;
  const observe = createLog(config.logLevel === 'info' ? 'warn' : config.logLevel, process.stderr);
  const stopping = new AbortController();
  nextSignal().then(() => stopping.abort());

  const patient = { ...config, readTimeoutMs: Math.max(config.readTimeoutMs, readTimeoutMinMs) };
  const opened = await openDatabases(patient, observe, { isGuest: true });
  await startDatabases(opened);
  const store = openStore(opened, patient, observe);
  // As a read: nobody sees past retention.
  const oldest = retentionSeconds === undefined ? 0 : now - retentionSeconds;
  const slices = selectInSlices(store, { ...query, from: Math.max(from, oldest) });
  const tally = createTally(query.to);
  const problem = await printAll(tally.count(slices), tally.notePrinted, stopping.signal);
  tally.end();
  const down = describeDown(opened);
  await opened.close();
  const missing = tally.missing();
  const isClosed = problem instanceof OutputClosedError;
  if (problem) process.stderr.write(`${isClosed ? '' : 'broken off: '}${problem.message}\n`);
  for (const line of missing) process.stderr.write(`incomplete: ${line}\n`);
  for (const line of down) process.stderr.write(`${line}\n`);
  const printed = `exported ${tally.printed().toLocaleString('en')} summaries`;
  process.stderr.write(`${printed}${isClosed ? ', of which not all may have been read' : ''}\n`);
  if (isClosed) process.exitCode = OutputClosedError.exitCode;
  else if (problem || missing.length > 0) process.exitCode = 1;
}

/** Counts what was printed, shows how far it is, and remembers which databases did not answer. */
function createTally(to: number) {
  const progress = createProgress(process.stderr);
  const failed = new Map<string, DatabaseOutcome['outcome']>();
  let first: number | undefined;
  let printed = 0;
  let isComplete = true;
  return {
    async *count(slices: AsyncIterable<Slice>) {
      for await (const slice of slices) {
        isComplete &&= slice.complete;
        for (const { database, outcome } of slice.outcomes) if (outcome !== 'ok') failed.set(database, outcome);
        const summaries = slice.summaries.toSorted(byBucket);
        yield summaries;
        first ??= summaries[0]?.bucket;
        const share = first === undefined ? 0 : (slice.to - first) / (to - first);
        progress.show(share, `${printed.toLocaleString('en')} summaries`);
      }
    },
    notePrinted(summaries: number) {
      printed += summaries;
    },
    end: progress.clear,
    printed: () => printed,
    missing: () =>
      isComplete
        ? []
        : [...failed].map(([database, outcome]) => `${database} did not answer for all of it (${outcome})`),
  };
}

function byBucket(a: Summary, b: Summary): number {
  return a.bucket - b.bucket || (a.id < b.id ? -1 : 1);
}

/** Writes summaries to the standard output, and tells how many each time. @returns What went wrong, if it did. */
async function printAll(
  batches: AsyncIterable<readonly Summary[]>,
  notePrinted: (summaries: number) => void,
  signal: AbortSignal,
): Promise<Error | undefined> {
  const output = new Writable({
    objectMode: true,
    write(summaries: readonly Summary[], _, done) {
      const written = print(summaries.map((summary) => `${summaryToJson(summary)}\n`).join(''));
      written.then(() => {
        notePrinted(summaries.length);
        done();
      }, done);
    },
  });
  try {
    await pipeline(Readable.from(inParts(batches)), output, { signal });
    return undefined;
  } catch (error) {
    if (signal.aborted) return new Error('it was stopped');
    return error instanceof Error ? error : new Error(String(error));
  }
}

async function* inParts(batches: AsyncIterable<readonly Summary[]>) {
  for await (const batch of batches) {
    for (let start = 0; start < batch.length; start += linesAtOnce) yield batch.slice(start, start + linesAtOnce);
  }
}
