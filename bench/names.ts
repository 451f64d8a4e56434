import type { Client } from 'pg';
import { type Figure, measurePairs, milliseconds } from './figures.ts';
import type { Ground } from './ground.ts';
import { timed } from './read.ts';

const [few, many] = [1_000, 1_000_000];

/** One summary of each name, ten of the names being wanted. */
const seed = `
  with added as (
    insert into series (name)
    select case when n < 10 then 'web.checkout.' || n || '.latency' else md5(n::text) || '.requests' end
    from generate_series($1::integer, $2) n
    returning id)
  insert into summaries
  select id, date_trunc('minute', now()), md5(id::text)::uuid, 10, 1, 1, 1, 1, 1, 1, 1 from added`;

/** A pattern that hits ten names, out of a thousand and out of a million. */
export async function benchNames(ground: Ground): Promise<Figure[]> {
  const service = await ground.startService();
  const clients = await Promise.all(ground.urls.map((url) => ground.connect(url)));
  const add = (from: number, to: number) =>
    Promise.all(
      clients.map(async (client: Client) => {
        await client.query("select create_summaries_week(date_trunc('week', now() at time zone 'UTC')::date)");
        await client.query(seed, [from, to]);
        await client.query('vacuum analyze');
      }),
    );
  const read = async () => {
    const response = await fetch(`${service.url}?name=checkout&from=-6h&resolution=minute`, {
      headers: { 'Accept-Encoding': 'identity' },
    });
    const found = (await response.json()) as unknown[];
    if (found.length !== 10) throw new Error(`${found.length} names found`);
  };
  const measure = () =>
    measurePairs(
      () => timed(read),
      async () => 1,
    );
  await add(0, few - 1);
  const before = (await measure()).measured;
  await add(few, many - 1);
  const after = (await measure()).measured;
  return [
    {
      name: `read 10 of ${many.toLocaleString('en')} names by pattern`,
      measured: milliseconds(after),
      limit: `${milliseconds(before)} of ${few.toLocaleString('en')}`,
      ratio: after / before,
      target: '≤ 3',
    },
  ];
}
