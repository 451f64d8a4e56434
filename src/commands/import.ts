import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { type Config, ConfigError } from '../config.ts';
import { Failure } from '../domain/failure.ts';
import { importedIds } from '../domain/summary-id.ts';
import { type NdjsonOutcome, receiveNdjson } from '../http/receivers/ndjson.ts';
import { createSummarySchemas } from '../http/receivers/summary-schema.ts';
import { createLog } from '../log.ts';
import { openDatabases, settingsOf, startDatabases } from './databases.ts';
import { nextSignal } from './next-signal.ts';
import { openStore } from './open-store.ts';
import { parseOptions } from './parse-options.ts';
import { createProgress } from './progress.ts';

/** Nobody waits at the other end: better a pause of a database than an import that is broken off. */
const writeTimeoutMinMs = 30_000;

const readBytes = 1_024 * 1_024;

/** What `--help` prints. */
export const importHelp = `usage: m2pg import [--key TEXT] FILE|-

Reads NDJSON, a summary or raw point a line, and writes it to all databases of DATABASE_URLS. A FILE whose name ends in
.gz is decompressed; - is the standard input.

A line with the "id" that the export prints keeps it. The others get one from the key, their place in the file and what
is in them, so that an import that was broken off can be repeated: every line counts once.

  --key TEXT   tells files apart that have equal lines in equal places; the name of the file, without .gz, if left out

Lines that cannot be taken are left out: the first 100 are listed at the end, with the reason. The exit code is 0 when
every line was stored, else 1.
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
  const progress = createProgress(process.stderr);
  const begun = performance.now();
  const outcome = await receiveNdjson(source.bytes, {
    store,
    schemas: createSummarySchemas({ now, retentionSeconds: config.retentionSeconds }),
    now,
    idOf: (content, position, item) => idOf(content, position, (item as { id?: unknown }).id),
    isRepeatable: true,
    signal: stopping.signal,
    onProgress: ({ stored }) => progress.show(source.share(), describeRate(stored, begun)),
  });
  // The copies that were not waited for.
  await store.drain();
  progress.clear();
  process.stderr.write(describeOutcome(outcome, begun));
  await opened.close();
  if (outcome.refused > 0 || outcome.failure) process.exitCode = 1;
}

function parse(args: readonly string[]): { file: string; key: string } {
  const { values, positionals } = parseOptions(args, { key: { type: 'string' } }, importHelp);
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) {
    throw new ConfigError([`expected one file, or - for the standard input, not ${positionals.length}`, importHelp]);
  }
  const key = values.key ?? basename(file, '.gz');
  if (key === '') throw new ConfigError(['--key: expected at least one character']);
  return { file, key };
}

interface Source {
  readonly bytes: AsyncIterable<Uint8Array>;
  /** How much of it was read; undefined where nobody knows. */
  share(): number | undefined;
}

/** @throws Error when it is not a file that can be read. */
async function openSource(file: string): Promise<Source> {
  if (file === '-') return { bytes: readAll(process.stdin, 'the standard input'), share: () => undefined };
  const { size } = await stat(file);
  const stream = createReadStream(file, { highWaterMark: readBytes });
  const bytes = file.endsWith('.gz')
    ? pipeline(stream, createGunzip({ chunkSize: readBytes }), () => undefined)
    : stream;
  return { bytes: readAll(bytes, file), share: () => (size === 0 ? 1 : stream.bytesRead / size) };
}

async function* readAll(bytes: AsyncIterable<Uint8Array>, name: string) {
  try {
    yield* bytes;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Failure('malformed_body', `${name} cannot be read to its end: ${reason}`, { cause });
  }
}

function describeRate(stored: number, begunMs: number): string {
  const seconds = (performance.now() - begunMs) / 1_000;
  return `${format(stored)} summaries, ${format(Math.round(stored / seconds))}/s`;
}

function describeOutcome(outcome: NdjsonOutcome, begunMs: number): string {
  const { stored, refused, refusals, copies, storedThroughLine, failure } = outcome;
  const lines = refusals.map(({ line, path, message }) => `line ${line}: ${path ? `${path}: ` : ''}${message}`);
  if (refused > refusals.length) lines.push(`${format(refused - refusals.length)} more lines are not listed`);
  if (failure) {
    lines.push(
      `broken off: ${failure.message}; what is valid up to line ${storedThroughLine} is stored`,
      'import the same file again to go on: every line counts once',
    );
  }
  const where = copies ? `, each in ${copies.copies} or more of ${copies.databases} databases` : '';
  lines.push(`stored ${describeRate(stored, begunMs)}${where}; refused ${format(refused)} lines`);
  return `${lines.join('\n')}\n`;
}

function format(count: number): string {
  return count.toLocaleString('en');
}
