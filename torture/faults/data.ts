import { setTimeout as sleep } from 'node:timers/promises';
import type { Ground } from '../ground.ts';
import { at, type Fault } from './fault.ts';

/** What is written meanwhile is not in the copy that is restored. */
const copyAgeMs = 4_000;

const equalWithinMs = 30_000;

/** What can happen to the data of a server. */
export const dataFaults: readonly Fault[] = [
  {
    name: 'drop-tables',
    of: 'database',
    isDestructive: true,
    async begin(ground, target) {
      await at(ground.servers, target).run('drop table summaries, series cascade');
      return async () => undefined;
    },
  },
  {
    name: 'emptied',
    of: 'database',
    isDestructive: true,
    async begin(ground, target) {
      const server = at(ground.servers, target);
      await server.kill();
      await server.empty();
      await server.start();
      return async () => undefined;
    },
  },
  {
    name: 'restored',
    of: 'database',
    isDestructive: true,
    async begin(ground, target) {
      const server = at(ground.servers, target);
      await server.shutDown();
      await server.copyFiles();
      await server.start();
      await sleep(copyAgeMs);
      if (!(await becomeEqual(ground))) return async () => undefined;
      await server.kill();
      await server.restoreFiles();
      await server.start();
      return async () => undefined;
    },
  },
];

/** What was written since the copy must be in another database before it is taken from this one. */
async function becomeEqual({ areEqual }: Ground): Promise<boolean> {
  const deadlineMs = performance.now() + equalWithinMs;
  while (!(await areEqual())) {
    if (performance.now() > deadlineMs) return false;
    await sleep(500);
  }
  return true;
}
