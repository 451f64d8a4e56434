/**
 * Writes a metric, deletes it, and writes more of it or imports what was exported before: what was acknowledged after the
 * deletion is to stay, what was acknowledged before is to be gone.
 *
 * One step after the other, so that it is known what was before what. Where one got no answer, it is not: the metric is left
 * alone, and another one begun.
 */
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandOptions } from './command.ts';
import { runCommand } from './command.ts';
import { type DeleteOperation, keyOf, type Operation, type Sent } from './history.ts';
import type { Random } from './random.ts';
import { begin, deleteOnce, type Requesting, tryToWrite } from './requests.ts';

/** The metrics of this experiment that may be deleted. */
export interface Deleting {
  /** Those that were written lately. */
  readonly names: () => readonly string[];
  readonly onName: (name: string) => void;
  /** For what is exported. */
  readonly folder: string;
  /** How commands reach the databases, as a service does. */
  readonly commandOf: (service: number) => Omit<CommandOptions, 'signal'>;
  /** Of a service that is asked to delete: one of the version before does it as it did. */
  readonly isOlder: (service: number) => boolean;
  /** Ends before all else, so that what a deletion does late is seen. */
  readonly deletingSignal: AbortSignal;
}

interface DeletingOptions extends Requesting, Deleting {
  readonly random: Random;
  readonly onDone: (operation: Operation) => void;
}

const roundsMax = 3;
const pauseMs = 1_500;

/** A command takes a second of a processor. */
const exportShare = 0.5;
const commandShare = 0.2;
const rangeShare = 0.3;
const keyShare = 0.5;

/** One metric after the other until the signal. */
export async function keepDeleting(worker: number, options: DeletingOptions): Promise<void> {
  const { deletingSignal, onName, random } = options;
  for (let number = 0; !deletingSignal.aborted; number += 1) {
    const name = `torture.deleted.${worker}.${number}`;
    onName(name);
    const metric = createMetric(name, options);
    let isKnown = true;
    for (let round = 0; isKnown && round < roundsMax && !deletingSignal.aborted; round += 1) {
      isKnown = await runRound(metric, options);
      await sleep(random.below(pauseMs));
    }
  }
}

/** @returns Whether it is known what became of each of its steps. */
async function runRound(metric: Metric, { random, deletingSignal }: DeletingOptions): Promise<boolean> {
  if (!(await metric.write())) return false;
  // At once, or when copies are everywhere.
  await sleep(random.pick([0, random.below(pauseMs)]));
  const exported = random.next() < exportShare ? await metric.export() : undefined;
  if (deletingSignal.aborted) return false;
  if (!(await metric.delete())) return false;
  await sleep(random.pick([0, random.below(pauseMs)]));
  return exported ? metric.import(exported) : metric.write();
}

/** What can be done to one metric; each tells whether it is known what became of it. */
interface Metric {
  write(): Promise<boolean>;
  delete(): Promise<boolean>;
  /** @returns What is to be imported; undefined: nothing was exported. */
  export(): Promise<Exported | undefined>;
  import(exported: Exported): Promise<boolean>;
}

interface Exported {
  readonly file: string;
  readonly summaries: readonly Sent[];
}

function createMetric(name: string, options: DeletingOptions): Metric {
  const { random, onDone, firstBucket, folder, urls } = options;
  const written: Sent[] = [];
  let files = 0;
  const anyService = () => random.below(urls.length);
  return {
    async write() {
      const from = firstBucket + written.length;
      const isNew = written.length === 0;
      const summaries = Array.from({ length: 1 + random.below(6) }, (_, index) => {
        return { name, bucket: from + index, count: 1, value: Math.cos(from + index) };
      });
      written.push(...summaries);
      // An id that a service makes tells when it was made; sent again, it would be another one.
      const key = random.next() < keyShare ? randomUUID() : undefined;
      const done = await tryToWrite(summaries, key, anyService(), options);
      onDone({ type: 'write', summaries, tries: [done], ...(isNew && { needs: 'new name' }) });
      return done.status === 201;
    },
    async delete() {
      const from = firstBucket + random.below(written.length + 1);
      const range = random.next() < rangeShare ? { from, to: from + random.below(written.length + 1) } : undefined;
      const service = anyService();
      if (options.isOlder(service)) return false;
      const isCommand = random.next() < commandShare;
      const done = await (isCommand
        ? deleteByCommand(name, range, service, options)
        : deleteOnce(name, range, service, options));
      onDone(done);
      return done.status === 200;
    },
    async export() {
      const service = anyService();
      const end = begin(service, options);
      const { output, code } = await run(['export', '--name', `^${name}$`], service, options);
      const lines = output
        .trim()
        .split('\n')
        .filter((line) => line !== '');
      const keys = code === undefined ? [] : lines.map((line) => keyOf(JSON.parse(line)));
      onDone({ type: 'export', name, keys, ...end(), status: statusOf(code, 200) });
      if (code !== 0 || lines.length === 0) return undefined;
      files += 1;
      const file = join(folder, `${name}.${files}.ndjson`);
      await writeFile(file, output);
      const known = new Set(keys);
      return { file, summaries: written.filter((summary) => known.has(keyOf(summary))) };
    },
    async import({ file, summaries }) {
      const service = anyService();
      const end = begin(service, options);
      const { code } = await run(['import', file], service, options);
      onDone({ type: 'import', summaries, ...end(), status: statusOf(code, 201) });
      return code === 0;
    },
  };
}

async function deleteByCommand(
  name: string,
  range: { readonly from: number; readonly to: number } | undefined,
  service: number,
  options: DeletingOptions,
): Promise<DeleteOperation> {
  const bounds = range ? [`--from=${range.from}`, `--to=${range.to}`] : [];
  const end = begin(service, options);
  const { code } = await run(['delete', '--name', name, '--yes', ...bounds], service, options);
  const { from, to } = range ?? { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY };
  return { type: 'delete', name, from, to, ...end(), status: statusOf(code, 200) };
}

function run(args: readonly string[], service: number, { commandOf, deletingSignal }: DeletingOptions) {
  return runCommand(args, { ...commandOf(service), signal: deletingSignal });
}

/** @returns Undefined: nobody knows. */
function statusOf(code: number | undefined, success: number): number | undefined {
  if (code === undefined) return undefined;
  return code === 0 ? success : 503;
}
