import { noteSettings, type SettingsInUse } from '../../src/database/notes.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from './fresh-database.ts';
import { week } from './packing.ts';
import { summaryOf } from './summaries.ts';

const ignore = () => undefined;

export const nowSeconds = () => Date.now() / 1000;

/** A clock that is ahead. */
export const ahead = (seconds: number) => () => nowSeconds() + seconds;

/** What `prepareWeeks` has prepared. */
export type PreparedWeeks = Awaited<ReturnType<typeof prepareWeeks>>;

/** A database with a summary in each of the last weeks. */
export async function prepareWeeks(weeks: number) {
  const url = await freshDatabaseUrl();
  const database = await freshDatabase({ url });
  const store = createPostgresStore({ database, observe: ignore });
  await store.write(Array.from({ length: weeks }, (_, ago) => summaryOf({ bucket: nowSeconds() - ago * week })));
  const held = async () => {
    const [row] = await runSql(url, 'select count(*)::int as held from summaries');
    return row?.held;
  };
  const note = (settings: SettingsInUse) =>
    noteSettings((text, values) => database.query('maintain', { text, values: values ?? [] }), settings);
  const heldBack = async () => {
    const [row] = await runSql(url, 'select weeks_held_back from retention_state');
    return row?.weeks_held_back;
  };
  return { url, database, store, held, heldBack, note };
}
