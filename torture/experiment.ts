import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Limits } from './checkers/availability.ts';
import { findReturned } from './checkers/contents.ts';
import type { Evidence } from './checkers/evidence.ts';
import type { Deleting } from './deleting.ts';
import { type Chosen, possible } from './faults/faults.ts';
import { type Ground, prepareGround, readTimeoutMs, writeTimeoutMs } from './ground.ts';
import { acknowledgedMs, type FaultOperation, type Operation, operationsOf } from './history.ts';
import { type Machine, watchMachine } from './machine.ts';
import { createRandom } from './random.ts';
import { readOnce } from './requests.ts';
import { runSchedule } from './schedule.ts';
import { type Settings, settingsFor } from './settings.ts';
import { areSame, areSameButForTheLatest, readContents } from './stored.ts';
import { namesIn, runWorkload, seriesNames } from './workload.ts';

/** What is promised for databases that are back. */
const convergenceMaxMs = 60_000;

/** Equal databases are to stay so: what a deletion does late is seen by then. */
const staysEqualMs = 3_000;

/** A service that was refused before tries again so late; what it does not use by then, it never may. */
const usedWithinMs = 25_000;

/** Before the first fault. */
const writtenWithinMs = 10_000;

const usageEveryMs = 1_000;

/** Of a second. */
const stallMinMs = 300;

/** The version before is there from the first for a part of the time. */
const openingShare = 0.25;

/** A deletion is applied once more some seconds later; the last one, before the end. */
const deletionsEndMs = 15_000;
const deletionsShareMin = 0.6;

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
  /** Of the sources, which may hold a planted defect. */
  readonly root: string;
  readonly repository: string;
  readonly seed: number;
  readonly durationMs: number;
  readonly chosen: Chosen;
  /** A folder for the logs of services, servers and commands. */
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
  const { root, repository, seed, chosen, onProgress } = options;
  const random = createRandom(seed);
  const settings = settingsFor(seed, chosen.conditions);
  const { faults, leftOut } = await possible(chosen.faults, settings, repository);
  for (const line of [...describeSettings(settings), ...leftOut]) onProgress(line);
  const hasOlder = faults.some(({ name }) => name === 'older-version');
  const hasClocks = faults.some(({ isOfClock, needsClocks }) => isOfClock || needsClocks);
  const needs = { hasOlder, hasClocks, areEqual: areSameButForTheLatest };
  const ground = await prepareGround({ root, repository, settings, random, ...needs });
  const machine = watchMachine({
    folder: ground.folder,
    pids: () => ground.services.flatMap((service) => service.pid() ?? []),
  });
  try {
    return await runOn(ground, machine, { ...options, faults, random });
  } finally {
    if (options.logs) {
      const isLog = (path: string) => !/\/(db\d|copies|older)(\/|$)/.test(path);
      await cp(ground.folder, options.logs, { recursive: true, filter: isLog });
    }
    await machine.close();
    await ground.close();
  }
}

function describeSettings({ services, has }: Settings): string[] {
  const described = services.map(
    ({ writeAcks, poolSizeMax, retention = 'for ever', packAfter = '14d' }, index) =>
      `service${index + 1}: WRITE_ACKS ${writeAcks}, RETENTION ${retention}, PACK_AFTER ${packAfter}, POOL_SIZE_MAX ${poolSizeMax}`,
  );
  return [...described, `with ${has.size === 0 ? 'nothing else' : [...has].join(', ')}`];
}

type RunOptions = Pick<ExperimentOptions, 'seed' | 'durationMs' | 'onProgress'> & {
  readonly faults: Chosen['faults'];
  readonly random: ReturnType<typeof createRandom>;
};

async function runOn(ground: Ground, machine: Machine, options: RunOptions): Promise<Outcome> {
  const { seed, durationMs, faults, random, onProgress } = options;
  const { settings, services, servers } = ground;
  const begun = performance.now();
  const clock = () => performance.now() - begun;
  const history: Operation[] = [];
  const onDone = (operation: Operation) => history.push(operation);
  const onFault = (fault: FaultOperation) => {
    history.push(fault);
    const detail = fault.detail ? ` (${fault.detail})` : '';
    onProgress(`${seconds(fault.beganMs)} to ${seconds(fault.endedMs)}: ${fault.fault}${detail} of ${fault.target}`);
  };
  const stopping = new AbortController();
  const firstBucket = Math.floor(Date.now() / 1_000) - 10_000;
  const requesting = { urls: services.map(({ url }) => url), firstBucket, clock, stalledMs: machine.stalledMs };
  const deleting = settings.has.has('deletes') ? createDeleting(ground, durationMs) : undefined;
  const working = runWorkload({
    ...requesting,
    random: createRandom(seed + 1),
    signal: stopping.signal,
    onDone,
    weeksBackMax: settings.weeksBackMax,
    deleting,
  });
  const watching = watch(ground, machine, clock, history, stopping.signal);
  const older = faults.find(({ name }) => name === 'older-version');
  const target = settings.olderAt;
  const opening =
    older && ground.isOlder(target) ? { fault: older, target, lastsMs: durationMs * openingShare } : undefined;
  await untilWritten(seriesNames, history);
  await runSchedule({ ground, random, durationMs, faults, opening, areEqual: ground.areEqual, clock, onFault });
  stopping.abort();
  await Promise.all([working, watching]);
  onProgress(`${seconds(clock())}: healed, ${history.length} operations; waiting for the databases to be equal`);
  const writeAcks = settings.services.map((service) => service.writeAcks);
  const { contents, convergedMs } = await converge(ground, clock, { history, writeAcks });
  // One database burns; whoever reads then is to miss nothing.
  await ground.untilUsed(usedWithinMs);
  const burnt = random.pick(servers);
  await burnt.kill();
  history.push({ type: 'burn', target: burnt.name, atMs: clock() });
  const deleted = namesIn(history).filter((name) => deleting?.names().includes(name));
  for (const [index, name] of [...seriesNames, ...deleted].entries()) {
    history.push(await readOnce(index % services.length, name, requesting));
  }
  return { history, contents, writeAcks, convergedMs };
}

/** Waits until a metric of each of these names is there, so that none has to be made; for a while. */
async function untilWritten(names: readonly string[], history: readonly Operation[]): Promise<void> {
  const deadlineMs = performance.now() + writtenWithinMs;
  const isMissing = () => {
    const written = operationsOf(history, 'write').filter((write) => acknowledgedMs(write) !== undefined);
    const known = new Set(written.flatMap(({ summaries }) => summaries.map(({ name }) => name)));
    return names.some((name) => !known.has(name));
  };
  while (isMissing() && performance.now() < deadlineMs) await sleep(50);
}

/** Deletions end before all else, so that what they do late is seen. */
function createDeleting(ground: Ground, durationMs: number): Deleting {
  const { root, folder, services, links } = ground;
  const names: string[] = [];
  return {
    names: () => names,
    onName: (name) => names.push(name),
    folder,
    commandOf: (service) => ({
      root,
      environment: services[service]?.environment ?? {},
      databaseUrls: (links[service] ?? []).map(({ url }) => url),
      logFile: join(folder, 'commands.log'),
    }),
    isOlder: ground.isOlder,
    deletingSignal: AbortSignal.timeout(Math.max(durationMs * deletionsShareMin, durationMs - deletionsEndMs)),
  };
}

/** Waits until the databases are equal and stay so, and hold nothing any more that was deleted. */
async function converge(ground: Ground, clock: () => number, evidence: Omit<Evidence, 'contents'>) {
  const beganMs = clock();
  let equalSinceMs: number | undefined;
  for (;;) {
    // A server that has just been started again may not take connections yet.
    const contents = await readContents(ground.servers).catch(() => []);
    const isEqual = contents.length > 0 && areSame(contents) && findReturned({ ...evidence, contents }).length === 0;
    equalSinceMs = isEqual ? (equalSinceMs ?? clock()) : undefined;
    if (equalSinceMs !== undefined && clock() - equalSinceMs >= staysEqualMs) {
      return { contents, convergedMs: equalSinceMs - beganMs };
    }
    if (clock() - beganMs > convergenceMaxMs && equalSinceMs === undefined) return { contents, convergedMs: undefined };
    await sleep(500);
  }
}

/** Notes what the services use, and when the machine stands still. */
async function watch(
  { services }: Ground,
  { stalledMs }: Machine,
  clock: () => number,
  history: Operation[],
  signal: AbortSignal,
): Promise<void> {
  let stalledBefore = stalledMs();
  while (!signal.aborted) {
    services.forEach((service, index) => {
      const usage = service.usage();
      if (usage) history.push({ type: 'usage', service: index, atMs: clock(), ...usage });
    });
    await sleep(usageEveryMs, undefined, { signal }).catch(() => undefined);
    const stalledNow = stalledMs();
    const ms = stalledNow - stalledBefore;
    if (ms >= stallMinMs) history.push({ type: 'stall', atMs: clock(), ms });
    stalledBefore = stalledNow;
  }
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
