/** The limit of HTTP: Hono and the schema that validates summaries, answering 201 with no database behind it. */
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { v7 } from 'uuid';
import { createSummarySchemas } from '../src/http/receivers/summary-schema.ts';

const { summary } = createSummarySchemas({ now: () => Date.now() / 1000, retentionSeconds: undefined });
const app = new Hono();
app.post('/metrics', async (c) => {
  const parsed = summary.safeParse(JSON.parse(await c.req.text()));
  return parsed.success ? c.json(v7(), 201) : c.text('invalid', 422);
});
createAdaptorServer({ fetch: app.fetch }).listen(Number(process.argv[2]), '127.0.0.1', () => {
  process.stdout.write('listening\n');
});
