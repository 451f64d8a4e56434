import { basename } from 'node:path';
import type { Config } from '../config.ts';
import { Failure } from '../domain/failure.ts';
import { importedIds, isExportedId } from '../domain/summary-id.ts';
import type { Splitter } from '../http/receivers/line-splitter.ts';
import { isOfContent, type NdjsonOutcome, receiveNdjson } from '../http/receivers/ndjson.ts';
import { createSummarySchemas } from '../http/receivers/summary-schema.ts';
import { createLog } from '../log.ts';
import { describeDown, openDatabases, settingsOf, startDatabases } from './databases.ts';
import { openSource } from './import-source.ts';
import { nextSignal } from './next-signal.ts';
import { openStore } from './open-store.ts';
import { parseOptions, UsageError } from './parse-options.ts';
import { createProgress } from './progress.ts';

/** Nobody waits at the other end: better a pause of a database than an import that is broken off. */
const writeTimeoutMinMs = 30_000;

/** What `--help` prints. */
export const importHelp = `usage: m2pg import [--key TEXT] FILE|-

Reads summaries and raw points and writes them to all databases of DATABASE_URLS. FILE, or with - the standard input, holds
NDJSON, one a line, as export prints it; or JSON: an array of any size, or objects one after another. It may be compressed
with gzip, which is recognised by its first bytes.

A summary with the "id" that export prints keeps it. The others get one from the key, their place in the file and what
is in them, so that an import that was broken off can be repeated: each counts once. AGE_MAX is for those alone.

  --key TEXT   tells files apart that have equal lines in equal places; the name of the file, without .gz, if left out

What cannot be taken is left out: the first 100 lines are listed at the end, with the reason. The exit code is 0 when
everything was stored, else 1.
`;

/** Stores a file, as `importHelp` says. */
export async function importFile(config: Config, args: readonly string[]): Promise<void> {
  const { file, key } = parse(args);
  const source = await openSource(file);
  const observe = createLog(config.logLevel === 'info' ? 'warn' : config.logLevel, process.stderr);
  const stopping = new AbortController();
  nextSignal().then((signal) => stopping.abort(new Failure('stopping', `it was stopped by ${signal}`)));

  const { write_acks } = settingsOf(config);
  const opened = await openDatabases(config, observe, { isGuest: true, settings: { write_acks } });
  await startDatabases(opened);
  const writeTimeoutMs = Math.max(config.writeTimeoutMs, writeTimeoutMinMs);
  const store = openStore(opened, { ...config, writeTimeoutMs }, observe);
  const idOf = importedIds(key);
  const now = () => Date.now() / 1000;
  const arriving = createSummarySchemas({ ...config, now });
  // What was exported was judged when it arrived, and is older now.
  const exported = createSummarySchemas({ ...config, now, ageMaxSeconds: undefined, isExported: true });
  const progress = createProgress(process.stderr);
  const begun = performance.now();
  const outcome = await receiveNdjson(source.bytes, {
    store,
    schemas: arriving,
    schemasOf: (item) => (isExportedId(givenId(item)) ? exported : arriving),
    now,
    idOf: (content, position, item) => idOf(content, position, givenId(item)),
    isRepeatable: true,
    splitter: source.splitter,
    signal: stopping.signal,
    onProgress: ({ stored }) => progress.show(source.share(), describeRate(stored, begun)),
  });
  // The copies that were not waited for.
  await store.drain();
  progress.clear();
  process.stderr.write(describeOutcome(outcome, source.splitter.unit, begun));
  for (const line of describeDown(opened)) process.stderr.write(`${line}\n`);
  await opened.close();
  if (outcome.refused > 0 || outcome.failure) process.exitCode = 1;
}

function givenId(item: unknown): unknown {
  return typeof item === 'object' && item !== null && 'id' in item ? item.id : undefined;
}

function parse(args: readonly string[]): { file: string; key: string } {
  const { values, positionals } = parseOptions(args, { key: { type: 'string' } }, importHelp);
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) {
    throw new UsageError([`expected one file, or - for the standard input, not ${positionals.length}`, importHelp]);
  }
  const key = values.key ?? basename(file, '.gz');
  if (key === '') throw new UsageError(['--key: expected at least one character']);
  return { file, key };
}

function describeRate(stored: number, begunMs: number): string {
  const seconds = (performance.now() - begunMs) / 1_000;
  return `${format(stored)} summaries, ${format(Math.round(stored / seconds))}/s`;
}

function describeOutcome(outcome: NdjsonOutcome, unit: Splitter['unit'], begunMs: number): string {
  const { stored, refused, refusals, copies, storedThroughLine, failure } = outcome;
  const lines = refusals.map(({ line, path, message }) => `${unit} ${line}: ${path ? `${path}: ` : ''}${message}`);
  if (refused > refusals.length) lines.push(`${format(refused - refusals.length)} more ${unit}s are not listed`);
  if (failure) {
    lines.push(`broken off: ${failure.message}; what is valid up to ${unit} ${storedThroughLine} is stored`);
    // What is wrong with the file itself is wrong the next time, too.
    if (!isOfContent(failure)) lines.push(`import the same file again to go on: every ${unit} counts once`);
  }
  const where = copies ? `, each in ${copies.copies} or more of ${copies.databases} databases` : '';
  lines.push(`stored ${describeRate(stored, begunMs)}${where}; refused ${format(refused)} ${unit}s`);
  return `${lines.join('\n')}\n`;
}

function format(count: number): string {
  return count.toLocaleString('en');
}
