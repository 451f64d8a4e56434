import type { Client } from 'pg';

/** The series of `seedMinutes`. */
export const seededNames = 100;

const seedNames = `
  insert into series (name) select 'read.' || lpad(n::text, 3, '0') from generate_series(1, ${seededNames}) n
  on conflict do nothing`;

/** A summary a minute of every name, the same ids in every database that is given the same. */
const seedDays = `
  insert into summaries
  select series.id, minute, md5(series.name || minute)::uuid, 10, random(), random(), 0, 1, random(), random(), random()
  from series, generate_series($1::timestamptz, $2, '1 minute') as minute
  where series.name like 'read.%'
  on conflict do nothing -- Now moves on between two calls: the second may overlap the first by minutes.`;

/** Adds the days before now from `fromDaysAgo` to `toDaysAgo`, a summary a minute of a hundred names, to each database. */
export async function seedMinutes(
  clients: readonly Client[],
  { fromDaysAgo, toDaysAgo }: { readonly fromDaysAgo: number; readonly toDaysAgo: number },
): Promise<void> {
  const minute = Math.floor(Date.now() / 60_000) * 60_000;
  const at = (daysAgo: number) => new Date(minute - daysAgo * 86_400_000);
  await Promise.all(
    clients.map(async (client) => {
      await client.query(seedNames);
      for (let daysAgo = fromDaysAgo; daysAgo > toDaysAgo; daysAgo -= 7) {
        const from = at(daysAgo);
        const until = at(Math.max(daysAgo - 7, toDaysAgo) + 1 / 1_440);
        await client.query(
          `select create_summaries_week(date_trunc('week', at at time zone 'UTC')::date) from unnest(array[$1, $2]::timestamptz[]) at`,
          [from, until],
        );
        await client.query(seedDays, [from, until]);
      }
      await client.query('vacuum analyze');
    }),
  );
}

/** Keeps the service from rolling up, until it is let. */
export async function holdRollUps(clients: readonly Client[]): Promise<void> {
  await Promise.all(clients.map((client) => client.query("select pg_advisory_lock(hashtext('m2pg roll-ups'))")));
}

/** Reads take everything from summaries, until the next `rollUp`; to be called while roll-ups are held. */
export async function hideRollUps(clients: readonly Client[]): Promise<void> {
  await Promise.all(clients.map((client) => client.query("update rollup_state set rolled_to = '-infinity'")));
}

/** Rolls up all that is over, and gives the seconds that it took. */
export async function rollUp(clients: readonly Client[]): Promise<number> {
  const begun = performance.now();
  await Promise.all(
    clients.map(async (client) => {
      const text = `select roll_up(date_bin('1 hour', now() - interval '5 minutes', 'epoch'), 5000) as done`;
      while ((await client.query(text)).rows[0].done > 0);
      await client.query('vacuum analyze hourly_rollups, daily_rollups, dirty_hours, rollup_state');
    }),
  );
  return (performance.now() - begun) / 1_000;
}
