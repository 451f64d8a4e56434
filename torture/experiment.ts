import { cp } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { statisticNames } from '../src/domain/summary.ts';
import type { Evidence, Limits } from './checkers.ts';
import { faultsFor } from './faults.ts';
import { type Ground, prepareGround, readTimeoutMs, writeTimeoutMs } from './ground.ts';
import type { Content, FaultOperation, Operation } from './history.ts';
import { createRandom } from './random.ts';
import { runSchedule } from './schedule.ts';
import type { TortureServer } from './server.ts';
import { readOnce, runWorkload } from './workload.ts';

/** What is promised for databases that are back. */
const convergenceMaxMs = 60_000;

/** A service that was refused before tries again so late; what it does not use by then, it never may. */
const usedWithinMs = 25_000;

const usageEveryMs = 1_000;

/** The half second that is promised beyond the timeout of a write, and what a busy machine adds. */
const beyondTimeoutMs = 1_500;

/** A read may wait twice: for the databases to be compared, and for what they differ in. */
export const limits: Limits = {
  writeMs: writeTimeoutMs + beyondTimeoutMs,
  readMs: 2 * readTimeoutMs + beyondTimeoutMs,
  rssMb: 400,
  sockets: 200,
};

export interface ExperimentOptions {
  readonly root: string;
  readonly seed: number;
  readonly durationMs: number;
  /** Names of faults; all when left out. */
  readonly faults?: readonly string[] | undefined;
  /** A folder for the logs of the services. */
  readonly logs?: string | undefined;
  readonly onProgress: (line: string) => void;
}

/** What was seen and measured. */
export interface Outcome extends Evidence {
  /** From the healing of the last fault until all databases held the same; undefined: they never did. */
  readonly convergedMs: number | undefined;
}

/** Runs the experiment from begin to end. */
export async function runExperiment(options: ExperimentOptions): Promise<Outcome> {
  const { root, seed, durationMs, onProgress } = options;
  const random = createRandom(seed);
  // Every other seed: so that data may be destroyed.
  const writeAcks = 1 + (seed % 2);
  const ground = await prepareGround({ root, writeAcks, random });
  const begun = performance.now();
  const clock = () => performance.now() - begun;
  const history: Operation[] = [];
  const onFault = (fault: FaultOperation) => {
    history.push(fault);
    onProgress(`${seconds(fault.beganMs)} to ${seconds(fault.endedMs)}: ${fault.fault} of ${fault.target}`);
  };
  try {
    const stopping = new AbortController();
    const firstBucket = Math.floor(Date.now() / 1_000) - 10_000;
    const urls = ground.services.map(({ url }) => url);
    const work = { urls, random: createRandom(seed + 1), firstBucket, clock };
    const working = runWorkload({ ...work, signal: stopping.signal, onDone: (operation) => history.push(operation) });
    const watching = watchUsage(ground, clock, history, stopping.signal);
    const areEqual = () => readContents(ground.servers).then(isEqual, () => false);
    const faults = faultsFor(writeAcks, options.faults);
    await runSchedule({ ground, random, durationMs, faults, areEqual, clock, onFault });
    stopping.abort();
    await Promise.all([working, watching]);
    onProgress(`${seconds(clock())}: healed, ${history.length} operations; waiting for the databases to be equal`);
    const { contents, convergedMs } = await converge(ground, clock);
    // One database burns; whoever reads then is to miss nothing.
    await ground.untilUsed(usedWithinMs);
    const burnt = random.pick(ground.servers);
    await burnt.kill();
    history.push({ type: 'burn', target: burnt.name, atMs: clock() });
    for (let series = 0; series < 10; series += 1) history.push(await readOnce(series % 3, `torture.${series}`, work));
    return { history, contents, writeAcks, convergedMs };
  } finally {
    if (options.logs)
      await cp(ground.folder, options.logs, { recursive: true, filter: (path) => !/\/db\d(\/|$)/.test(path) });
    await ground.close();
  }
}

async function converge(ground: Ground, clock: () => number) {
  const beganMs = clock();
  for (;;) {
    // A server that has just been started again may not take connections yet.
    const contents = await readContents(ground.servers).catch(() => []);
    if (contents.length > 0 && isEqual(contents)) return { contents, convergedMs: clock() - beganMs };
    if (clock() - beganMs > convergenceMaxMs) return { contents, convergedMs: undefined };
    await sleep(500);
  }
}

async function readContents(servers: readonly TortureServer[]): Promise<Content[]> {
  const text = `
    select summaries.id, name, extract(epoch from bucket)::float8 as bucket, ${statisticNames.join(', ')}
    from summaries join series on series.id = series_id where name like 'torture.%'`;
  return Promise.all(
    servers.map(async (server) => {
      const rows = await server.run(text);
      return new Map(rows.map(({ id, ...held }) => [String(id), held])) as unknown as Content;
    }),
  );
}

function isEqual(contents: readonly Content[]): boolean {
  const [first, ...others] = contents;
  return others.every((other) => other.size === first?.size && [...other.keys()].every((id) => first.has(id)));
}

async function watchUsage(
  { services }: Ground,
  clock: () => number,
  history: Operation[],
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    services.forEach((service, index) => {
      const usage = service.usage();
      if (usage) history.push({ type: 'usage', service: index, atMs: clock(), ...usage });
    });
    await sleep(usageEveryMs, undefined, { signal }).catch(() => undefined);
  }
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
