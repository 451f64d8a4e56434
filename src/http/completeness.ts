import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Completeness } from '../domain/store.ts';

/** The headers of every answer that is read from the databases, for the OpenAPI document. */
export const completenessHeaders = z.object({
  'M2pg-Databases': z.string().openapi({ example: 'db1=ok, db2=timeout' }),
  'M2pg-Complete': z.enum(['true', 'false']),
});

/** Says in the headers of an answer who contributed to it, and that it holds for this moment only. */
export function noteCompleteness(c: Context, found: Completeness): void {
  c.header('M2pg-Databases', describeOutcomes(found));
  c.header('M2pg-Complete', String(found.complete));
  c.header('Cache-Control', 'no-store');
}

/** `db1=ok, db2=timeout` */
export function describeOutcomes({ outcomes }: Completeness): string {
  return outcomes.map(({ database, outcome }) => `${database}=${outcome}`).join(', ');
}
