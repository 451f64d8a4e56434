import type { Service } from './service-process.ts';

/** The answer to a write. */
export interface WriteAnswer {
  readonly status: number;
  /** Of the summaries, when stored. */
  readonly ids: readonly string[];
  /** `M2pg-Copies`. */
  readonly copies: string | null;
  readonly retryAfter: string | null;
  readonly durationMs: number;
}

/** The answer to a read. */
export interface ReadAnswer {
  readonly status: number;
  /** `M2pg-Complete`. */
  readonly complete: string | null;
  /** `M2pg-Databases`. */
  readonly databases: string | null;
  /** The counts of all buckets of all names. */
  readonly count: number;
  readonly durationMs: number;
}

/** One raw point, named so that a read can find it. */
export const point = (name: string) => ({ name, bucket: Math.floor(Date.now() / 1000), value: 1 });

/** Posts a summary, or several. Rejects when no answer comes. */
export async function write(
  { url }: Pick<Service, 'url'>,
  body: object,
  headers: Record<string, string> = {},
): Promise<WriteAnswer> {
  const begun = performance.now();
  const response = await fetch(`${url}/metrics`, { method: 'POST', body: JSON.stringify(body), headers });
  const answer: unknown = await response.json();
  const durationMs = performance.now() - begun;
  const ids = response.status === 201 ? [answer].flat().map(String) : [];
  const { headers: given, status } = response;
  return { status, ids, copies: given.get('M2pg-Copies'), retryAfter: given.get('Retry-After'), durationMs };
}

/** Reads the last hour. */
export async function read({ url }: Pick<Service, 'url'>, parameters: Record<string, string>): Promise<ReadAnswer> {
  const begun = performance.now();
  const response = await fetch(`${url}/metrics?${new URLSearchParams(parameters)}`);
  const answer = (await response.json()) as { count: { value: number }[] }[];
  const durationMs = performance.now() - begun;
  const counts = Array.isArray(answer) ? answer.flatMap(({ count }) => count.map(({ value }) => value)) : [];
  return {
    status: response.status,
    complete: response.headers.get('M2pg-Complete'),
    databases: response.headers.get('M2pg-Databases'),
    count: counts.reduce((sum, value) => sum + value, 0),
    durationMs,
  };
}

/** What `/-/status` says of the databases, in order. */
export async function statesOf({ url }: Pick<Service, 'url'>): Promise<string[]> {
  const status = (await (await fetch(`${url}/-/status`)).json()) as { databases: { state: string }[] };
  return status.databases.map(({ state }) => state);
}

/** The status code of `/-/ready` or `/-/healthy`. */
export async function statusOf({ url }: Pick<Service, 'url'>, path: string): Promise<number> {
  const response = await fetch(`${url}${path}`);
  await response.text();
  return response.status;
}
