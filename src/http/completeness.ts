import { z } from '@hono/zod-openapi';
import type { Completeness } from '../domain/store.ts';

/** The headers of every answer that is read from the databases, for the OpenAPI document. */
export const completenessHeaders = z.object({
  'M2pg-Databases': z.string().openapi({ example: 'db1=ok, db2=timeout' }),
  'M2pg-Complete': z.enum(['true', 'false']),
});

/**
 * The headers that say which databases contributed to an answer, and that it must not be cached. Set them on the answer itself, not
 * on the context beforehand: a later error would carry them, too.
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
