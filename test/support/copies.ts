import { expect, inject, onTestFinished } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import type { Observation, Observe } from '../../src/domain/observation.ts';
import { type Copy, createCopy } from '../../src/repair/copy.ts';
import { createRepair, type Pass, type RepairOptions } from '../../src/repair/repair-pass.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from './fresh-database.ts';
import { eventually } from './service-process.ts';

/** Some databases and what repairs them. */
export interface Copies {
  readonly urls: readonly URL[];
  readonly databases: readonly Database[];
  readonly copies: readonly Copy[];
  readonly observations: Observation[];
  readonly observe: Observe;
  /** Passes until nothing differs, or nothing that differs is still to be tried; gives all of them. */
  repair(options?: Partial<RepairOptions>): Promise<Pass[]>;
}

/**
 * Fresh databases named db1 … dbN.
 *
 * @param change What an operator does to them before they are connected to.
 */
export async function prepareCopies(
  count: number,
  change: (urls: readonly URL[]) => Promise<unknown> = async () => undefined,
): Promise<Copies> {
  const observations: Observation[] = [];
  const observe = (observation: Observation) => void observations.push(observation);
  const urls = await Promise.all(Array.from({ length: count }, () => freshDatabaseUrl()));
  await change(urls);
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
    observe,
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

/** Has one of the databases take no writes, as after a failover, or take them again; resolves when that is known. */
export async function setReadOnly({ urls, databases }: Copies, index: number, isReadOnly: boolean): Promise<void> {
  const name = urls[index]?.pathname.slice(1) ?? '';
  const serverUrl = new URL(inject('postgresUrl'));
  const setting = isReadOnly ? 'set default_transaction_read_only = on' : 'reset default_transaction_read_only';
  await runSql(serverUrl, `alter database ${name} ${setting}`);
  if (isReadOnly) await runSql(serverUrl, endSessions, [name]);
  const state = isReadOnly ? 'read_only' : 'up';
  await eventually(() => expect(databases[index]?.status().state).toBe(state));
}

const endSessions = 'select pg_terminate_backend(pid, 1000) from pg_stat_activity where datname = $1';
