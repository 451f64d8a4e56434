/**
 * `npm run torture -- --seed N --minutes M [--faults NAME,NAME] [--history FILE] [--logs FOLDER]`: three services, three databases,
 * real faults, and checkers that look for everything that must never be. `--plant N` plants the Nth defect first, and succeeds
 * when a checker finds it. `--seeds 1-40` runs one seed after another.
 */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { check } from './checkers/check.ts';
import { limits, runExperiment } from './experiment.ts';
import { choose } from './faults/faults.ts';
import { figuresOf } from './figures.ts';
import { plantIn, plants } from './plants.ts';
import { parseSeeds, runSeeds } from './seeds.ts';

/** Of each checker. */
const findingsShown = 5;

const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: { seed: text, seeds: text, minutes: text, plant: text, faults: text, history: text, logs: text },
});
const say = (line: string) => void process.stdout.write(`${line}\n`);
const fail = (lines: readonly string[]): never => {
  process.stderr.write(lines.map((line) => `${line}\n`).join(''));
  process.exit(1);
};

const seed = Number(values.seed ?? 1);
const minutes = Number(values.minutes ?? (values.plant ? 0.5 : 2));
const plant = values.plant === undefined ? undefined : plants[Number(values.plant) - 1];
if (!Number.isInteger(seed) || !(minutes > 0) || (values.plant !== undefined && plant === undefined)) {
  fail([
    `--seed: a whole number; --minutes: more than 0; --plant: 1 to ${plants.length}:`,
    ...plants.map(({ name }, index) => `  ${index + 1} ${name}`),
  ]);
}
if (values.seeds !== undefined) {
  const seeds = parseSeeds(values.seeds) ?? fail(['--seeds: a number, or two such as 1-40']);
  process.exit(await runSeeds({ seeds, minutes, faults: values.faults, say }));
}

const repository = join(import.meta.dirname, '..');
const root = plant ? await plantIn(repository, plant) : repository;
say(plant ? `planted: ${plant.name}; seed ${seed}` : `seed ${seed}, ${minutes} minutes`);
const outcome = await runExperiment({
  root,
  repository,
  seed,
  durationMs: minutes * 60_000,
  chosen: chooseOrFail(plant?.faults ?? values.faults?.split(',')),
  logs: values.logs,
  onProgress: say,
});
if (plant) await rm(root, { recursive: true });
if (values.history) {
  const readable = (_: string, value: unknown) => (value instanceof Map ? Object.fromEntries(value) : value);
  await writeFile(values.history, outcome.history.map((one) => `${JSON.stringify(one, readable)}\n`).join(''));
}

for (const line of figuresOf(outcome, outcome.convergedMs)) say(line);
const found = [...check(outcome, limits)].filter(([, findings]) => findings.length > 0);
for (const [checker, findings] of found) {
  say(`${checker.toUpperCase()}: ${findings.length}`);
  for (const finding of findings.slice(0, findingsShown)) say(`  ${finding}`);
}
if (found.length === 0) say(`nothing is wrong, seed ${seed}`);
process.exit((found.length === 0) === (plant === undefined) ? 0 : 1);

function chooseOrFail(names: readonly string[] | undefined) {
  try {
    return choose(names);
  } catch (error) {
    return fail([`--faults: ${error instanceof Error ? error.message : error}`]);
  }
}
