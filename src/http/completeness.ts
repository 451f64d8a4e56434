import { z } from '@hono/zod-openapi';
import type { Completeness } from '../domain/store.ts';

/** The headers of every answer that is read from the databases, for the OpenAPI document. */
export const completenessHeaders = z.object({
  'M2pg-Databases': z.string().openapi({ example: 'db1=ok, db2=timeout' }),
  'M2pg-Complete': z.enum(['true', 'false']),
});

/**
 * The headers of an answer that say who contributed to it, and that it holds for this moment only. They are given to the answer
 * when it is made and not noted before: an error would have them, too, if there is none in the end.
 */
export function headersOf(found: Completeness): Record<string, string> {
  return {
    'M2pg-Databases': describeOutcomes(found),
    'M2pg-Complete': String(found.complete),
    'Cache-Control': 'no-store',
  };
}

/** `db1=ok, db2=timeout` */
export function describeOutcomes({ outcomes }: Completeness): string {
  return outcomes.map(({ database, outcome }) => `${database}=${outcome}`).join(', ');
}
