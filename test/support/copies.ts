import { onTestFinished } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import type { Observation } from '../../src/domain/observation.ts';
import { type Copy, createCopy } from '../../src/repair/copy.ts';
import { createRepair, type Pass, type RepairOptions } from '../../src/repair/repair-pass.ts';
import { freshDatabase, freshDatabaseUrl } from './fresh-database.ts';

/** Some databases and what repairs them. */
export interface Copies {
  readonly urls: readonly URL[];
  readonly databases: readonly Database[];
  readonly copies: readonly Copy[];
  readonly observations: Observation[];
  /** Passes until nothing differs, or nothing that differs is still to be tried; gives all of them. */
  repair(options?: Partial<RepairOptions>): Promise<Pass[]>;
}

/** Fresh databases named db1 … dbN. */
export async function prepareCopies(count: number): Promise<Copies> {
  const observations: Observation[] = [];
  const observe = (observation: Observation) => void observations.push(observation);
  const urls = await Promise.all(Array.from({ length: count }, () => freshDatabaseUrl()));
  const databases = await Promise.all(
    urls.map((url, index) => freshDatabase({ url, name: `db${index + 1}`, observe })),
  );
  const copies = databases.map((database) => createCopy({ database, observe }));
  let isFinished = false;
  onTestFinished(() => {
    isFinished = true;
  });
  return {
    urls,
    databases,
    copies,
    observations,
    async repair(options = {}) {
      const repair = createRepair({
        copies,
        retentionSeconds: undefined,
        now: () => Date.now() / 1000,
        observe,
        restMs: 50,
        ...options,
      });
      const passes: Pass[] = [];
      while (!isFinished) {
        const pass = await repair.pass();
        passes.push(pass);
        if (pass.untried.length === 0 || pass.hasFailed) return passes;
        await new Promise((resolve) => setTimeout(resolve, 60));
      }
      return passes;
    },
  };
}
