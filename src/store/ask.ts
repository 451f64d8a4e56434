import { isGivenUpByServer } from '../database/sqlstate.ts';
import { withTimeout } from '../database/with-timeout.ts';
import { Failure, toFailure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import type { Completeness, Store } from '../domain/store.ts';
import type { AgreedAcks } from './agreed-acks.ts';

/** One of the databases of a redundant store. */
export interface NamedStore {
  readonly name: string;
  readonly store: Store;
}

export interface RedundantReadsOptions {
  readonly databases: readonly NamedStore[];
  readonly acks: number;
  /** Where other services may use the same databases; left out, `acks` alone counts. */
  readonly agreed?: AgreedAcks;
  /** Of a read that has begun: whether those that have answered can lack anything. */
  readonly isEnough?: (answered: readonly string[]) => boolean;
  readonly readTimeoutMs: number;
  /** From then on no read waits for a database: it is answered with what the others hold. */
  readonly stopping?: AbortSignal;
  readonly observe: Observe;
}

/** By database, how much of its time a read has had already, in milliseconds: of several questions of one read. */
export type Spent = Map<string, number>;

/** Those who answered, in their order, and why the others did not. */
export interface Answers<Value> {
  readonly given: readonly { readonly database: NamedStore; readonly value: Value }[];
  readonly failed: ReadonlyMap<string, Failure>;
}

/**
 * Asks databases all at once and waits for all of them, each up to the time limit.
 *
 * @param spent What each has left of it is less by that; what it takes now is added.
 * @throws Failure when the query is at fault, or `no_database` when none answers.
 */
export async function ask<Value>(
  asked: readonly NamedStore[],
  read: (store: Store) => Promise<Value>,
  options: RedundantReadsOptions,
  spent: Spent = new Map(),
): Promise<Answers<Value>> {
  const failed = new Map<string, Failure>();
  const answers = await Promise.all(
    asked.map(async (database) => {
      try {
        return [{ database, value: await readFrom(database, read, options, spent) }];
      } catch (error) {
        failed.set(database.name, toFailure(error));
        return [];
      }
    }),
  );
  const failures = [...failed.values()];
  const aboutQuery = failures.find(isAboutQuery);
  if (aboutQuery) throw aboutQuery;
  if (failures.length === asked.length) throw failureOfAll(failures);
  return { given: answers.flat(), failed };
}

/** Where those that can be reached answer that they cannot, to ask again would not help. */
export function failureOfAll(failures: readonly Failure[]): Failure {
  const options = { cause: failures };
  if (failures.some(isGivenUpByServer)) {
    const message =
      'takes longer than READ_TIMEOUT_MS in every database: narrow it, or the time, or take a coarser resolution';
    return new Failure('read_too_slow', message, options);
  }
  if (failures.some(({ code }) => code === 'data_refused')) {
    // Such as a group whose sketches exceed a gigabyte.
    const message = 'no database can compute it, and the log says why: narrow it, or take a finer resolution';
    return new Failure('read_refused', message, options);
  }
  return new Failure('no_database', 'no database answered', options);
}

async function readFrom<Value>(
  { name, store }: NamedStore,
  read: (store: Store) => Promise<Value>,
  { readTimeoutMs, stopping, observe }: RedundantReadsOptions,
  spent: Spent,
): Promise<Value> {
  const begun = performance.now();
  const leftMs = readTimeoutMs - (spent.get(name) ?? 0);
  try {
    if (leftMs <= 0) throw new Failure('timeout', 'did not answer in time');
    const value = await withTimeout(untilStopping(read(store), stopping), leftMs);
    observe({ type: 'read_done', database: name, durationMs: performance.now() - begun });
    return value;
  } catch (error) {
    const failure = toFailure(error);
    if (!isAboutQuery(failure)) observe({ type: 'read_failed', database: name, failure });
    throw failure;
  } finally {
    spent.set(name, readTimeoutMs - leftMs + performance.now() - begun);
  }
}

/** Settles as the promise does or, when the service stops before, rejects with a Failure `timeout`; the work goes on. */
export async function untilStopping<Value>(work: Promise<Value>, stopping: AbortSignal | undefined): Promise<Value> {
  if (!stopping) return work;
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const stop = () => reject(new Failure('timeout', 'had not answered when the service stopped'));
  stopping.addEventListener('abort', stop);
  if (stopping.aborted) stop();
  return Promise.race([work, stopped]).finally(() => stopping.removeEventListener('abort', stop));
}

/** Failures that every database would repeat: the query is at fault. */
export function isAboutQuery({ code }: Failure): boolean {
  return code === 'invalid_pattern' || code === 'read_too_large';
}

/** Who contributed and whether that is enough: N − W + 1 of N databases cannot all lack what W have acknowledged. */
export function completenessOf(
  failed: ReadonlyMap<string, Failure>,
  { databases, acks, isEnough }: RedundantReadsOptions,
): Completeness {
  const names = databases.map(({ name }) => name);
  const answered = names.filter((name) => !failed.has(name));
  return {
    outcomes: names.map((database) => ({ database, outcome: failed.get(database)?.code ?? 'ok' })),
    complete: isEnough ? isEnough(answered) : answered.length >= names.length - acks + 1,
  };
}
