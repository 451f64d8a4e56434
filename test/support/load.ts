import { expect, onTestFinished } from 'vitest';
import { point, type WriteAnswer, write } from './service-client.ts';
import { eventually, type Service } from './service-process.ts';

/** What a write is allowed whatever is undisturbed on the machine: tests run beside each other on few processors. */
const alwaysAllowedMs = 500;

/** What half of them are allowed: far less than any wait for a database that does not answer. */
const halfAlwaysAllowedMs = 100;

/** The default of `WRITE_TIMEOUT_MS`, and the half second that every answer may take beyond it. */
const answeredWithinMs = 2_500;

/** The answers to the writes of a load. */
export interface LoadAnswers {
  /** To what was sent before the fault. */
  readonly before: readonly WriteAnswer[];
  readonly during: readonly WriteAnswer[];
  readonly all: readonly WriteAnswer[];
}

/** Writes that go on while something is done to the databases. */
export interface Load {
  /** What is sent from now on meets the fault. */
  beginFault(): void;
  /** Waits until so many more writes have been answered. */
  goOn(answers: number): Promise<void>;
  /** Ends it. Rejects when a write got no answer at all. */
  stop(): Promise<LoadAnswers>;
  /** Ends it when the service is gone. @returns The ids of all that was acknowledged. */
  abandon(): Promise<string[]>;
}

export interface LoadOptions {
  readonly everyMs?: number;
  /** In each write. */
  readonly points?: number;
}

/** Sends one write after another, without waiting for answers, and has a hundred answers already. */
export async function startLoad(
  service: Pick<Service, 'url'>,
  { everyMs = 5, points = 1 }: LoadOptions = {},
): Promise<Load> {
  const sent: Promise<WriteAnswer>[] = [];
  let answered = 0;
  let faultAt: number | undefined;
  const timer = setInterval(() => {
    const answer = write(
      service,
      Array.from({ length: points }, () => point('load')),
    ).finally(() => {
      answered += 1;
    });
    // It is for `stop` to reject.
    answer.catch(() => undefined);
    sent.push(answer);
  }, everyMs);
  onTestFinished(() => clearInterval(timer));
  const goOn = (answers: number) => {
    const enough = answered + answers;
    return eventually(() => expect(answered).toBeGreaterThanOrEqual(enough), 30_000);
  };
  await goOn(100);
  return {
    beginFault() {
      faultAt ??= sent.length;
    },
    goOn,
    async stop() {
      clearInterval(timer);
      const all = await Promise.all(sent);
      return { before: all.slice(0, faultAt), during: all.slice(faultAt ?? all.length), all };
    },
    async abandon() {
      clearInterval(timer);
      const settled = await Promise.allSettled(sent);
      return settled.flatMap((one) => (one.status === 'fulfilled' ? one.value.ids : []));
    },
  };
}

/** Breaks something under load, lets the load go on for a while, and expects that no write took notice. */
export async function expectUndisturbed(
  service: Pick<Service, 'url'>,
  breakIt: () => unknown,
  answers = 200,
): Promise<LoadAnswers> {
  const load = await startLoad(service);
  load.beginFault();
  await breakIt();
  await load.goOn(answers);
  const stopped = await load.stop();
  expectSuccess(stopped);
  return stopped;
}

/**
 * All are 201, at the speed of the databases that work: the median, and the slowest of a hundred, within three times what
 * they were. The median tells of a wait that each of them takes, which a busy machine would hide in the slowest.
 */
export function expectSuccess({ before, during, all }: LoadAnswers): void {
  expect(all.filter(({ status }) => status !== 201)).toEqual([]);
  expect(durationAt(0.5, during)).toBeLessThan(Math.max(halfAlwaysAllowedMs, 3 * durationAt(0.5, before)));
  expect(durationAt(0.99, during)).toBeLessThan(Math.max(alwaysAllowedMs, 3 * durationAt(0.99, before)));
  for (const { durationMs } of all) expect(durationMs).toBeLessThan(answeredWithinMs);
}

function durationAt(share: number, answers: readonly WriteAnswer[]): number {
  const durations = answers.map(({ durationMs }) => durationMs).toSorted((a, b) => a - b);
  return durations[Math.floor(durations.length * share)] ?? 0;
}
