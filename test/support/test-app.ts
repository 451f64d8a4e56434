import type { Observation } from '../../src/domain/observation.ts';
import type { Summary } from '../../src/domain/summary.ts';
import { type AppOptions, createApp } from '../../src/http/app.ts';
import type { Operation } from '../../src/http/operation-routes.ts';
import { createMemoryStore } from './memory-store.ts';

/** The instant at which tests of HTTP play, so that the examples of the README are recent: 2012-12-11 05:12:30 UTC. */
export const now = 1_355_202_750;

/** A body with all that a summary needs, its statistics distinct, so that a mix-up of two shows. */
export const validSummary = {
  name: 'foo.web.requests',
  bucket: 1_355_202_720,
  count: 10,
  mean: 2.5,
  median: 2.25,
  min: 1,
  max: 9.5,
  perc95: 8.5,
  perc99: 9.25,
  last: 3.75,
};

/** What a problem answer holds (RFC 9457). */
export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

export type TestAppOptions = Partial<Omit<AppOptions, 'operation'>> & { readonly operation?: Partial<Operation> };

const quietOperation: Operation = {
  isReady: () => true,
  status: () => ({
    version: '0.0.0',
    ready: true,
    writeAcks: 1,
    acks: { writes: 1, reads: 1 },
    keeps: { retentionDays: null, packAfterDays: 14 },
    clocks: { differenceMs: 0, message: null },
    warnings: [],
    uptimeSeconds: 1,
    repair: { lookedAt: null },
    logs: { lines: 0, values: 0, broken: 0, brokenLast: [], droppedUpstream: {} },
    databases: [],
  }),
  metrics: async () => ({ contentType: 'text/plain; version=0.0.4; charset=utf-8', text: '# HELP x\n' }),
};

/** The service over the fake store, with shorthands for its two calls. */
export function createTestApp({ operation, ...options }: TestAppOptions = {}) {
  const memory = createMemoryStore();
  const observations: Observation[] = [];
  const app = createApp({
    store: memory,
    now: () => now,
    deleter: { delete: async () => ({ id: '00000000-0000-0000-0000-000000000000', outcomes: [] }) },
    bodyBytesMax: 1_000_000,
    retentionSeconds: undefined,
    version: '0.0.0',
    ...options,
    operation: { ...quietOperation, ...operation },
    observe: (observation) => observations.push(observation),
  });
  return {
    app,
    memory,
    observations,
    /** Everything stored, in the order of arrival. */
    stored: (): Summary[] => [...memory.summaries.values()],
    /** Posts a value as JSON; text and bytes as they are. */
    async post(body: unknown, headers: Record<string, string> = {}): Promise<Response> {
      const isRaw = typeof body === 'string' || body instanceof Uint8Array || body instanceof ReadableStream;
      const raw = (isRaw ? body : JSON.stringify(body)) as RequestInit['body'];
      return app.request('/metrics', { method: 'POST', body: raw, headers, duplex: 'half' } as RequestInit);
    },
    async get(query: Record<string, string> = {}): Promise<Response> {
      return app.request(`/metrics?${new URLSearchParams(query)}`);
    },
  };
}

export async function problemOf(response: Response): Promise<ProblemBody> {
  return (await response.json()) as ProblemBody;
}
