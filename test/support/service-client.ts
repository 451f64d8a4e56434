import { expect } from 'vitest';
import type { Status } from '../../src/http/operation-routes.ts';
import { eventually, type Service } from './service-process.ts';
import { startWatch } from './stalls.ts';

/** The answer to a write. */
export interface WriteAnswer {
  readonly status: number;
  /** Of the summaries, when stored. */
  readonly ids: readonly string[];
  /** `M2pg-Copies`. */
  readonly copies: string | null;
  readonly retryAfter: string | null;
  /** Without what this process waited for a processor. */
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
  /** Without what this process waited for a processor. */
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
  const watch = startWatch();
  const response = await fetch(`${url}/metrics`, { method: 'POST', body: JSON.stringify(body), headers });
  const answer: unknown = await response.json();
  const durationMs = watch();
  const ids = response.status === 201 ? [answer].flat().map(String) : [];
  const { headers: given, status } = response;
  return { status, ids, copies: given.get('M2pg-Copies'), retryAfter: given.get('Retry-After'), durationMs };
}

/** Reads the last hour. */
export async function read({ url }: Pick<Service, 'url'>, parameters: Record<string, string>): Promise<ReadAnswer> {
  const watch = startWatch();
  const response = await fetch(`${url}/metrics?${new URLSearchParams(parameters)}`);
  const answer = (await response.json()) as { count: { value: number }[] }[];
  const durationMs = watch();
  const counts = Array.isArray(answer) ? answer.flatMap(({ count }) => count.map(({ value }) => value)) : [];
  return {
    status: response.status,
    complete: response.headers.get('M2pg-Complete'),
    databases: response.headers.get('M2pg-Databases'),
    count: counts.reduce((sum, value) => sum + value, 0),
    durationMs,
  };
}

/**
 * Reads until an answer says that it is complete, as one need not that comes from a database that was away a moment ago.
 * What it holds is for the caller to judge: of that answer, not of a later one that repair has put right.
 */
export function readComplete(service: Pick<Service, 'url'>, parameters: Record<string, string>): Promise<ReadAnswer> {
  return eventually(async () => {
    const answer = await read(service, parameters);
    expect(answer).toMatchObject({ status: 200, complete: 'true' });
    return answer;
  });
}

/** What `/-/status` says of the databases, in order. */
export async function statesOf(service: Pick<Service, 'url'>): Promise<string[]> {
  return (await databasesOf(service)).map(({ state }) => state);
}

/** How many writes each database has confirmed, by what `/-/status` says. */
export async function writesOf(service: Pick<Service, 'url'>): Promise<number[]> {
  return (await databasesOf(service)).map(({ writes }) => writes.ok);
}

async function databasesOf({ url }: Pick<Service, 'url'>): Promise<Status['databases']> {
  return ((await (await fetch(`${url}/-/status`)).json()) as Status).databases;
}

/** Waits until the databases were found equal, so that each of them counts for what is complete. */
export function untilCaughtUp(service: Pick<Service, 'url'>): Promise<void> {
  return eventually(async () => {
    expect((await databasesOf(service)).filter(({ caughtUp }) => !caughtUp)).toEqual([]);
  });
}

/** The status code of `/-/ready` or `/-/healthy`. */
export async function statusOf({ url }: Pick<Service, 'url'>, path: string): Promise<number> {
  const response = await fetch(`${url}${path}`);
  await response.text();
  return response.status;
}
