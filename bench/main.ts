/**
 * `npm run bench`, or parts by name: `npm run bench -- write`.
 *
 * Every figure stands beside its limit, measured in turn with it in the same run; the ratios are what carries from one
 * machine to another. The tables are printed and written to `bench/RESULTS.md`.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { benchBulk } from './bulk.ts';
import { type Figure, pairs, toTable } from './figures.ts';
import { type Ground, prepareGround } from './ground.ts';
import { benchMemory } from './memory.ts';
import { benchNames } from './names.ts';
import { benchRead } from './read.ts';
import { benchRepair } from './repair.ts';
import { benchShort } from './short.ts';
import { benchSketches } from './sketches.ts';
import { benchStorage } from './storage.ts';
import { benchWrite } from './write.ts';

interface Part {
  readonly run: (ground: Ground) => Promise<Figure[]>;
  readonly databases: number;
}

const parts: Readonly<Record<string, Part>> = {
  write: { run: benchWrite, databases: 2 },
  bulk: { run: benchBulk, databases: 2 },
  read: { run: benchRead, databases: 2 },
  short: { run: benchShort, databases: 3 },
  names: { run: benchNames, databases: 2 },
  storage: { run: benchStorage, databases: 1 },
  memory: { run: benchMemory, databases: 2 },
  sketches: { run: benchSketches, databases: 2 },
  repair: { run: benchRepair, databases: 3 },
};

const named = process.argv.slice(2);
const unknown = named.find((name) => !Object.hasOwn(parts, name));
if (unknown !== undefined) {
  process.stderr.write(`no part ${unknown}; there are ${Object.keys(parts).join(', ')}\n`);
  process.exit(1);
}

/** One section a part, each with what it was run at: a part that is run alone leaves the others as they are. */
const sections = new Map<string, string>();
const file = join(import.meta.dirname, 'RESULTS.md');
for (const section of readFileSync(file, 'utf8')
  .split(/^(?=## )/m)
  .slice(1)) {
  sections.set(/^## (\w+)/.exec(section)?.[1] ?? '', section.trim());
}

const described = execFileSync('git', ['describe', '--always'], { encoding: 'utf8' }).trim();
const others = ['diff', '--quiet', 'HEAD', '--', '.', ':!bench/RESULTS.md'];
const commit = `${described}${spawnSync('git', others).status === 0 ? '' : '-dirty'}`;
const [cpu] = cpus();
const machine = `Node ${process.version}, ${cpus().length} × ${cpu?.model}`;

const head = `# Results

Written by \`npm run bench\`. Load generator, service and all PostgreSQL servers share the machine. Medians of ${pairs} pairs,
measured in turn after one that is not counted; of the reads that are "short" and of names, medians of five reads before and
five after the change.`;

for (const [name, part] of Object.entries(parts)) {
  if (named.length > 0 && !named.includes(name)) continue;
  const ground = await prepareGround(part.databases);
  try {
    const table = toTable(await part.run(ground));
    process.stdout.write(`${table}\n`);
    sections.set(name, `## ${name}\n\n\`npm run bench -- ${name}\` at commit ${commit}, ${machine}.\n\n${table}`);
  } finally {
    await ground.close();
  }
  const inOrder = Object.keys(parts).flatMap((known) => sections.get(known) ?? []);
  writeFileSync(file, `${[head, ...inOrder].join('\n\n')}\n`);
}
process.exit(0);
