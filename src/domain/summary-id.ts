import { v5, v7, validate } from 'uuid';
import { type Content, statisticNames } from './summary.ts';

/** A random UUID, ours for good: ids from idempotency keys are names in this namespace (RFC 9562, section 5.5). */
const namespace = '346fe681-c42b-444a-8a25-45f52dc67f93';

/** Random bytes are fetched for so many ids at once: one by one they cost more than all else about a summary. */
const idsAtOnce = 256;

const randomBytesPerId = 16;

/** Gives the id of the summary at a position of a request body. */
export type SummaryId = (content: Content, position: number) => string;

/**
 * How the summaries of one request get their ids.
 *
 * Without a key: a new UUIDv7, which sorts by time of arrival. With one: a UUIDv5 of key, position and content, so that
 * the same request sent again yields the same ids and is stored once, while the same key with other content yields
 * others and overwrites nothing.
 *
 * @param newId Gives the UUIDv7.
 */
export function summaryIds(idempotencyKey: string | undefined, newId: () => string = v7): SummaryId {
  if (idempotencyKey === undefined) return () => newId();
  return (content, position) => {
    const statistics = statisticNames.map((statistic) => content[statistic]);
    return v5(JSON.stringify([idempotencyKey, position, content.name, content.bucket, ...statistics]), namespace);
  };
}

/** Creates a source of new UUIDs, version 7, in the order in which they are asked for: for who needs very many. */
export function createNewIds(): () => string {
  const randoms = new Uint8Array(idsAtOnce * randomBytesPerId);
  let taken = randoms.length;
  let msecs = 0;
  let seq = 0;
  return () => {
    if (taken === randoms.length) {
      crypto.getRandomValues(randoms);
      taken = 0;
    }
    const random = randoms.subarray(taken, taken + randomBytesPerId);
    taken += randomBytesPerId;
    const now = Date.now();
    // Within a millisecond they count up, from a number of 31 bits at random that leaves as much room in its 32.
    seq = now > msecs ? new DataView(random.buffer, random.byteOffset).getUint32(6) >>> 1 : seq + 1;
    msecs = Math.max(now, msecs);
    return v7({ random, msecs, seq });
  };
}

/**
 * How summaries that are imported get their ids: each keeps its own where it has one; the others get theirs from key,
 * position and content, so that what is imported again counts once.
 */
export function importedIds(key: string): (content: Content, position: number, given: unknown) => string {
  const derived = summaryIds(key);
  return (content, position, given) =>
    typeof given === 'string' && validate(given) ? given.toLowerCase() : derived(content, position);
}
