/** The requests that the experiment makes of services, each with what became of it. */
import { type DeleteOperation, type ReadOperation, type Sent, statisticsOf, type Try } from './history.ts';

/** A request that takes longer hangs. */
const hangsMs = 15_000;

/** More than the writers come to, in one page of the service. */
const readSeconds = 10_000;

/** To whom requests go, and how their times are taken. */
export interface Requesting {
  /** Of the services. */
  readonly urls: readonly string[];
  /** Unix seconds of the first bucket that is read. */
  readonly firstBucket: number;
  /** Milliseconds since the begin. */
  readonly clock: () => number;
  /** Milliseconds that the machine has kept processes from working. */
  readonly stalledMs: () => number;
}

/** @returns What tells how long the request took that begins now. */
export function begin(
  service: number,
  { clock, stalledMs }: Pick<Requesting, 'clock' | 'stalledMs'>,
): () => Omit<Try, 'status'> {
  const beganMs = clock();
  const stalledBefore = stalledMs();
  return () => ({ service, beganMs, endedMs: clock(), stalledMs: stalledMs() - stalledBefore });
}

/** Sends summaries once. @param key As Idempotency-Key; undefined: without one. */
export async function tryToWrite(
  summaries: readonly Sent[],
  key: string | undefined,
  service: number,
  requesting: Requesting,
): Promise<Try> {
  const body = JSON.stringify(
    summaries.map((summary) => ({ name: summary.name, bucket: summary.bucket, ...statisticsOf(summary) })),
  );
  const headers: Record<string, string> = key === undefined ? {} : { 'Idempotency-Key': key };
  const end = begin(service, requesting);
  const status = await statusOf(`${requesting.urls[service]}/metrics`, { method: 'POST', body, headers });
  return { ...end(), status };
}

/** Deletes what a metric holds of a range; everything when it is left out. */
export async function deleteOnce(
  name: string,
  range: { readonly from: number; readonly to: number } | undefined,
  service: number,
  requesting: Requesting,
): Promise<DeleteOperation> {
  const query = new URLSearchParams({
    name,
    ...(range && { from: String(range.from), to: String(range.to) }),
  });
  const end = begin(service, requesting);
  const status = await statusOf(`${requesting.urls[service]}/metrics?${query}`, { method: 'DELETE' });
  const { from, to } = range ?? { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY };
  return { type: 'delete', name, from, to, ...end(), status };
}

/** @returns Undefined when no answer came, or none that was whole. */
async function statusOf(url: string, init: RequestInit): Promise<number | undefined> {
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(hangsMs) });
    await response.text();
    return response.status;
  } catch {
    return undefined;
  }
}

/** Reads one series by the second, from its begin. */
export async function readOnce(service: number, name: string, requesting: Requesting): Promise<ReadOperation> {
  const { urls, firstBucket } = requesting;
  const asked = { type: 'read', name } as const;
  const end = begin(service, requesting);
  const query = new URLSearchParams({
    name: `^${name}$`,
    from: String(firstBucket),
    to: String(firstBucket + readSeconds),
    resolution: 'second',
  });
  try {
    const response = await fetch(`${urls[service]}/metrics?${query}`, { signal: AbortSignal.timeout(hangsMs) });
    const answer: unknown = await response.json();
    // What is not 200 is a problem, and no list.
    const [series] = (response.ok ? answer : []) as [{ count: { bucket: number; value: number }[] }?];
    const counts = new Map(series?.count?.map(({ bucket, value }) => [bucket, value]));
    const isComplete = response.headers.get('M2pg-Complete') === 'true';
    const databases = (response.headers.get('M2pg-Databases') ?? '').split('=ok').length - 1;
    return { ...asked, ...end(), status: response.status, isComplete, databases, counts };
  } catch {
    return { ...asked, ...end(), status: undefined, isComplete: false, databases: 0, counts: new Map() };
  }
}
