import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

export interface SeedsOptions {
  readonly seeds: readonly number[];
  readonly minutes: number;
  /** As `--faults`. */
  readonly faults: string | undefined;
  readonly say: (line: string) => void;
}

/** `7`, or `1-40`. @returns Undefined when it is neither. */
export function parseSeeds(range: string): number[] | undefined {
  const [, first, last = first] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(range) ?? [];
  const [from, to] = [Number(first), Number(last)];
  return from <= to ? Array.from({ length: to - from + 1 }, (_, index) => from + index) : undefined;
}

/**
 * Runs one seed after the other, each in a process of its own, and says a line of each. Of those that fail, what they said, their
 * history and their logs are kept.
 *
 * @returns The exit code.
 */
export async function runSeeds({ seeds, minutes, faults, say }: SeedsOptions): Promise<number> {
  const folder = join(tmpdir(), `m2pg-seeds-${process.pid}`);
  const failed: number[] = [];
  for (const seed of seeds) {
    const kept = join(folder, `seed-${seed}`);
    await mkdir(kept, { recursive: true });
    const options = ['--seed', seed, '--minutes', minutes, '--history', join(kept, 'history.ndjson')];
    const args = [...options, '--logs', join(kept, 'logs'), ...(faults ? ['--faults', faults] : [])].map(String);
    const begunMs = performance.now();
    const { output, code } = await runOne(args);
    const seconds = `${((performance.now() - begunMs) / 1_000).toFixed(0)} s`;
    if (code === 0) {
      say(`seed ${seed}: nothing is wrong, ${seconds}`);
      await rm(kept, { recursive: true });
      continue;
    }
    failed.push(seed);
    await writeFile(join(kept, 'output'), output);
    say(`seed ${seed}: ${describe(output)}, ${seconds}; see ${kept}`);
  }
  const clean = `${seeds.length - failed.length} of ${seeds.length} seeds are clean`;
  say(failed.length === 0 ? clean : `${clean}, not ${failed.join(', ')}`);
  return failed.length === 0 ? 0 : 1;
}

async function runOne(args: readonly string[]): Promise<{ output: string; code: number | undefined }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { output: output + errors, code: code ?? undefined };
}

/** Which checkers found something; else how it ended. */
function describe(output: string): string {
  const found = output.split('\n').filter((line) => /^[A-Z][A-Z -]+: \d+$/.test(line));
  return found.length > 0 ? found.join(', ') : `it broke off: ${output.trim().split('\n').at(-1)}`;
}
