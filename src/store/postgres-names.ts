import type { Database } from '../database/database.ts';
import type { Names, NamesQuery } from '../domain/store.ts';
import { namesStatement, toNamedSpan } from './names-statement.ts';

/** The names of one database. Rejects with its Failure. */
export async function findNames(database: Database, query: NamesQuery): Promise<Pick<Names, 'names' | 'more'>> {
  const { rows } = await database.query('read', namesStatement(query));
  return { names: rows.slice(0, query.limit).map(toNamedSpan), more: rows.length > query.limit };
}
