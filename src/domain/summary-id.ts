import { stringify, v5, validate } from 'uuid';
import { createIds } from './ids.ts';
import { type Content, statisticNames } from './summary.ts';

/** A random UUID, ours for good: ids from idempotency keys are names in this namespace (RFC 9562, section 5.5). */
const namespace = '346fe681-c42b-444a-8a25-45f52dc67f93';

/** One for the whole process: its ids sort by time of arrival, whichever request they are for. */
const newId = createIds(Date.now);

/** Gives the id of the summary at a position of a request body. */
export type SummaryId = (content: Content, position: number) => string;

/**
 * How the summaries of one request get their ids.
 *
 * Without a key: a new UUIDv7, which sorts by time of arrival. With one: a UUIDv5 of key, position and content, so that
 * the same request sent again yields the same ids and is stored once, while the same key with other content yields
 * others and overwrites nothing.
 */
export function summaryIds(idempotencyKey: string | undefined): SummaryId {
  if (idempotencyKey === undefined) return newId;
  return (content, position) => {
    const statistics = statisticNames.map((statistic) => content[statistic]);
    const sketch = content.sketch ? [Buffer.from(content.sketch).toString('base64')] : [];
    const said = [idempotencyKey, position, content.name, content.bucket, ...statistics, ...sketch];
    return v5(JSON.stringify(said), namespace);
  };
}

/**
 * How summaries that are imported get their ids: each keeps its own where it has one; the others get theirs from key,
 * position and content, so that what is imported again counts once.
 */
export function importedIds(key: string): (content: Content, position: number, given: unknown) => string {
  const derived = summaryIds(key);
  return (content, position, given) => (isExportedId(given) ? given.toLowerCase() : derived(content, position));
}

/** True for the id of a summary that was stored before: what is exported has one. */
export function isExportedId(given: unknown): given is string {
  return typeof given === 'string' && validate(given);
}

/**
 * A UUIDv8 (RFC 9562, section 5.8): like one of version 7, but with bits of a hash where that has random ones, so that it can
 * be made again.
 *
 * @param time Unix seconds.
 * @param digest At least ten bytes.
 */
export function timedId(time: number, digest: Uint8Array): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(Math.floor(time * 1000), 0, 6);
  bytes.set(digest.subarray(0, 10), 6);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return stringify(bytes);
}
