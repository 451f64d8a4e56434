/**
 * Bulk load: one summary or raw point a line, any number of lines, in constant memory.
 *
 * 1. Bytes are cut into lines as they come; a line that cannot be taken is refused, the others are not.
 * 2. Some thousand summaries make a batch. A few batches are under way at once; while they are, nothing more is read,
 *    and the sender waits.
 * 3. When no bytes come for a moment, what has gathered is written: a source may be slow, or never end.
 * 4. The first batch that fails ends the load. What was stored before stays, and the outcome tells how far that is.
 */
import { Failure, toFailure } from '../../domain/failure.ts';
import type { Store } from '../../domain/store.ts';
import type { Content, Summary } from '../../domain/summary.ts';
import { type BulkProgress, createBulkWriter } from './bulk-writer.ts';
import { createLineSplitter, type Line, type Splitter } from './line-splitter.ts';
import { parseSummary, type ReceiveOptions } from './metrics.ts';
import type { SummarySchemas } from './summary-schema.ts';

/** A transaction of a few milliseconds; larger ones gain nothing more. */
const batchMax = 5_000;

/** Of summaries with large sketches fewer: several batches are in memory at once. */
const batchBytesMax = 8 * 1_024 * 1_024;

/** So much is made into summaries in one go, less than a millisecond's work, before others have their turn. */
const pieceBytes = 64 * 1_024;

/** When no bytes came for so long, what has gathered is written. */
const tickMs = 1_000;

/** A few kilobytes of gzip hold many millions of lines that are nothing, and would keep everybody else waiting. */
const wastedLinesMax = 100_000;

/**
 * And a line without end could go on for as long as its sender likes. Of so much the most is the work of decompressing it, some
 * seconds, since a line that is too long is passed over; it is far more than a load of summaries has in lines that are refused.
 */
const wastedBytesMax = 1_024 * 1_024 * 1_024;

/** Enough to see what is wrong with a file. */
const refusalsListedMax = 100;

export interface NdjsonOptions extends ReceiveOptions {
  readonly store: Store;
  /** The id of a summary; `item` is what its line holds. */
  readonly idOf: (content: Content, position: number, item: unknown) => string;
  /** The schemas for an item, where they differ; else `schemas`. */
  readonly schemasOf?: (item: unknown) => SummarySchemas;
  /** Its ids come from what is in it, so that the same load can be repeated. */
  readonly isRepeatable: boolean;
  /** Undefined: the source may be silent for as long as it likes. */
  readonly idleTimeoutMs?: number;
  /** Cuts the bytes into summaries; one that makes lines when left out. */
  readonly splitter?: Splitter;
  /** Ends the load, for the reason of the abort, which is a Failure. */
  readonly signal?: AbortSignal;
  /** Is told how far the load is, once a batch. */
  readonly onProgress?: (progress: BulkProgress) => void;
}

/** Why a line was refused. */
export interface Refusal {
  /** From 1. */
  readonly line: number;
  /** The field; left out when it is the line as a whole. */
  readonly path?: string;
  readonly message: string;
}

/** What became of a load. */
export interface NdjsonOutcome extends BulkProgress {
  /** Lines. */
  readonly refused: number;
  /** The first hundred. */
  readonly refusals: readonly Refusal[];
  /** What ended the load before its end. */
  readonly failure: Failure | undefined;
}

/**
 * Reads lines and stores what they hold. Never rejects for what a source or a database does: `failure` tells.
 *
 * @param bytes UTF-8. It is read no further after a failure, nor is its end waited for.
 */
export async function receiveNdjson(bytes: AsyncIterable<Uint8Array>, options: NdjsonOptions): Promise<NdjsonOutcome> {
  const writer = createBulkWriter(options.store);
  const lines = createLineReader(options);
  let failure: Failure | undefined;

  const handOver = async () => {
    const batch = lines.take();
    if (batch.length > 0) await writer.write(batch, lines.lastLine());
    options.onProgress?.(writer.progress());
  };
  try {
    for await (const piece of piecesOf(bytes, options)) {
      if (piece) lines.push(piece);
      writer.check();
      if (lines.isFull() || !piece) await handOver();
    }
    lines.end();
    await handOver();
  } catch (error) {
    failure = toFailure(error);
  }
  // What came whole before a source turned out to be broken. When that cannot be stored, the writer tells below.
  if (failure && isOfContent(failure)) await handOver().catch(() => undefined);
  await writer.finish();
  try {
    writer.check();
  } catch (error) {
    failure ??= toFailure(error);
  }
  return { ...writer.progress(), ...lines.refused(), failure };
}

/** Failures of what is read, not of who stores it: it would fail again. What was read before is as good as ever. */
export function isOfContent({ code }: Failure): boolean {
  return code === 'malformed_body' || code === 'invalid_request';
}

/** Makes summaries of lines, and keeps count of those that are refused. */
function createLineReader({ idOf, isRepeatable, splitter = createLineSplitter(), ...options }: NdjsonOptions) {
  const refusals: Refusal[] = [];
  const waste = createWasteLimit(splitter.unit);
  let refused = 0;
  let lastLine = 0;
  let batch: Summary[] = [];
  let batchBytes = 0;

  const refuse = (message: string, path = '') => {
    refused += 1;
    if (refused <= refusalsListedMax) refusals.push({ line: lastLine, ...(path !== '' && { path }), message });
  };
  const readItem = (item: unknown, text: string) => {
    const { schemas, schemasOf = () => schemas, now } = options;
    const { content, found } = parseSummary(item, { schemas: schemasOf(item), now }, isRepeatable);
    if (content) {
      batch.push(Object.freeze({ id: idOf(content, lastLine - 1, item), ...content }));
      batchBytes += text.length;
    }
    // One whose only fault is its time is a summary all the same: a file may begin with years that are not kept any more.
    if (found.every(({ path }) => path === 'bucket')) waste.noteSummary(text);
    const [first, ...more] = found;
    if (first) refuse(more.length > 0 ? `${first.message} (and ${more.length} more)` : first.message, first.path);
  };
  const readText = (text: string) => {
    // Not left to the parser, which takes a hundred times as long to say no.
    if (text.trim() === '') return;
    let item: unknown;
    try {
      item = JSON.parse(text);
    } catch {
      refuse(refused < refusalsListedMax ? describeNonJson(text) : '');
      return;
    }
    readItem(item, text);
  };
  const read = (lines: readonly Line[]) => {
    for (const { text, problem } of lines) {
      lastLine += 1;
      if (text === undefined) refuse(problem ?? 'cannot be read');
      // A byte order mark, as Windows begins its files.
      else readText(lastLine === 1 && text.startsWith('\uFEFF') ? text.slice(1) : text);
    }
    waste.check(lastLine);
  };

  return {
    push(bytes: Buffer) {
      waste.noteBytes(bytes.length);
      read(splitter.push(bytes));
    },
    end: () => read(splitter.end()),
    isFull: () => batch.length >= batchMax || batchBytes >= batchBytesMax,
    take() {
      const taken = batch;
      batch = [];
      batchBytes = 0;
      return taken;
    },
    lastLine: () => lastLine,
    refused: () => ({ refused, refusals }),
  };
}

/** Ends a load that is mostly no summaries, once it is large. A line that is too long is one line, and its neighbours are taken. */
function createWasteLimit(unit: Splitter['unit']) {
  const read = { lines: 0, bytes: 0 };
  const summaries = { lines: 0, bytes: 0 };
  /** Since the last line ended. */
  let openBytes = 0;
  const isOver = (key: 'lines' | 'bytes', max: number) => {
    const wasted = read[key] - summaries[key];
    return wasted > max && wasted > summaries[key];
  };
  const problem = (): string | undefined => {
    if (isOver('lines', wastedLinesMax)) {
      return `of ${read.lines} ${unit}s, ${summaries.lines} were summaries and the others blank or refused`;
    }
    if (!isOver('bytes', wastedBytesMax)) return undefined;
    if (openBytes > wastedBytesMax / 2) return `${unit} ${read.lines + 1} has not ended after ${openBytes} bytes`;
    return `of ${read.bytes} bytes, ${summaries.bytes} were summaries and the others in ${unit}s that are refused`;
  };
  return {
    noteBytes(bytes: number) {
      read.bytes += bytes;
      openBytes += bytes;
    },
    noteSummary(text: string) {
      summaries.lines += 1;
      summaries.bytes += text.length;
    },
    /** @throws Failure that says what there was instead. */
    check(lines: number) {
      if (lines > read.lines) openBytes = 0;
      read.lines = lines;
      const found = problem();
      if (found) throw new Failure('invalid_request', `${found}: it was not read on`);
    },
  };
}

function describeNonJson(text: string): string {
  const isJoined = /\}\s*\{/.test(text);
  return isJoined
    ? 'is not JSON, but several joined; with curl use --data-binary or -T, since -d joins lines'
    : 'is not JSON';
}

/**
 * The bytes in pieces; undefined whenever none have come for a while.
 *
 * @throws Failure when none have come for too long, or that of the signal; else what the source throws.
 */
async function* piecesOf(bytes: AsyncIterable<Uint8Array>, { idleTimeoutMs, signal }: NdjsonOptions) {
  const source = bytes[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = source.next();
      for (let idleMs = 0; await isPendingAfter(next, tickMs); ) {
        idleMs += tickMs;
        if (idleTimeoutMs !== undefined && idleMs >= idleTimeoutMs) {
          throw new Failure('body_stalled', `nothing was received for ${idleTimeoutMs / 1_000} s`);
        }
        yield undefined;
        signal?.throwIfAborted();
      }
      const { done, value } = await next;
      if (done) return;
      for (let start = 0; start < value.length; start += pieceBytes) {
        const length = Math.min(pieceBytes, value.length - start);
        yield Buffer.from(value.buffer, value.byteOffset + start, length);
        signal?.throwIfAborted();
      }
    }
  } finally {
    // Not waited for: a source that is silent would be waited for until it speaks.
    source.return?.().catch(() => undefined);
  }
}

async function isPendingAfter(promise: Promise<unknown>, delayMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, delayMs, true);
  });
  const settled = promise.then(
    () => false,
    () => false,
  );
  return Promise.race([settled, expired]).finally(() => clearTimeout(timer));
}
