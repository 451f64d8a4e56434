import { cp, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A defect to be planted into a copy of the sources, and the faults that bring it to light. */
export interface Plant {
  readonly name: string;
  readonly patches: readonly { readonly file: string; readonly from: string; readonly to: string }[];
  /** Undefined: any. */
  readonly faults?: readonly string[];
}

export const plants: readonly Plant[] = [
  {
    name: 'acknowledge before commit',
    patches: [
      {
        file: 'src/store/redundant-store.ts',
        from: 'await withTimeout(firstFulfilled(writes, acks), writeTimeoutMs);',
        to: 'copies = acks;',
      },
    ],
    faults: ['service-killed-while-frozen'],
  },
  {
    name: 'no repair',
    patches: [
      {
        file: 'src/commands/look-after.ts',
        from: 'repairForever(options, signal)',
        to: 'Promise.resolve(repairForever)',
      },
    ],
    faults: ['kill', 'refuse'],
  },
  {
    name: 'a new id on retry',
    patches: [
      {
        file: 'src/domain/summary-id.ts',
        from: 'if (idempotencyKey === undefined) return newId;',
        to: 'if (idempotencyKey !== "") return newId;',
      },
    ],
  },
  {
    name: 'de-duplicate by name and bucket',
    patches: [
      {
        file: 'src/repair/copy-missing.ts',
        from: 'inOrder.map((one) => [one.summary.id, one])',
        to: "inOrder.map((one) => [[one.summary.name, one.summary.bucket].join(' '), one])",
      },
      {
        file: 'src/store/union-by-id.ts',
        from: 'byId.set(summary.id, summary)',
        to: "byId.set([summary.name, summary.bucket].join(' '), summary)",
      },
    ],
    faults: ['kill', 'refuse'],
  },
  {
    name: 'complete though a database failed',
    patches: [
      {
        file: 'src/store/ask.ts',
        from: 'complete: isEnough ? isEnough(answered) : answered.length >= names.length - acks + 1,',
        to: 'complete: acks > 0 || isEnough !== undefined,',
      },
    ],
    faults: ['kill', 'refuse', 'black-hole'],
  },
  {
    name: 'a value rounded in one database',
    patches: [
      {
        file: 'src/store/postgres-store.ts',
        from: 'await insert(received)',
        to: "await insert(database.name === 'db2' ? received.map((one) => ({ ...one, summaries: one.summaries.map((summary) => ({ ...summary, last: Math.fround(summary.last) })) })) : received)",
      },
    ],
    faults: ['kill-backend'],
  },
  {
    name: 'a breaker that never closes',
    patches: [
      {
        file: 'src/database/health.ts',
        from: 'const { version, readOnly, attempt, isPooled, fsync, schema } = found;',
        to: "const { version, readOnly, attempt, isPooled, fsync, schema } = found; if (held.state() === 'down') return;",
      },
    ],
    faults: ['kill', 'shut-down'],
  },
  {
    name: 'a query without a timeout',
    patches: [
      {
        file: 'src/store/redundant-store.ts',
        from: 'await withTimeout(firstFulfilled(writes, acks), writeTimeoutMs);',
        to: 'await firstFulfilled(writes, acks);',
      },
      { file: 'src/database/connection-options.ts', from: 'query_timeout: timeouts.queryTimeoutMs,', to: '' },
    ],
    faults: ['freeze-all'],
  },
  {
    name: 'an error that says it is complete',
    patches: [
      {
        file: 'src/http/problem.ts',
        from: "if (status === 503) c.header('Retry-After', retryAfterSeconds);",
        to: "if (status === 503) c.header('M2pg-Complete', 'true');",
      },
    ],
    faults: ['freeze-all'],
  },
  {
    name: 'a deletion of another metric than was asked for',
    patches: [
      {
        file: 'src/http/delete-route.ts',
        from: 'await deleter.delete(query)',
        to: "await deleter.delete({ ...query, name: [query.name, 'other'].join('.') })",
      },
    ],
    faults: ['deletes'],
  },
  {
    name: 'an export that leaves out a line',
    patches: [
      {
        file: 'src/commands/export.ts',
        from: 'batch.slice(start, start + linesAtOnce)',
        to: 'batch.slice(start + 1, start + linesAtOnce)',
      },
    ],
    faults: ['deletes'],
  },
];

/**
 * Copies the sources and plants a defect.
 *
 * @returns The folder of the copy.
 * @throws Error when a text to be replaced is not there exactly once: the plant is to be brought up to date.
 */
export async function plantIn(root: string, { name, patches }: Plant): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-plant-'));
  await cp(join(root, 'src'), join(folder, 'src'), { recursive: true });
  await cp(join(root, 'package.json'), join(folder, 'package.json'));
  for (const linked of ['migrations', 'node_modules']) await symlink(join(root, linked), join(folder, linked));
  for (const { file, from, to } of patches) {
    const text = await readFile(join(folder, file), 'utf8');
    const places = text.split(from).length - 1;
    if (places !== 1) throw new Error(`plant "${name}": ${file} holds the text to be replaced ${places} times`);
    await writeFile(
      join(folder, file),
      text.replace(from, () => to),
    );
  }
  return folder;
}
