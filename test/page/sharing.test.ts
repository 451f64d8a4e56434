import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { minutesOf, useBrowser } from '../support/browser.ts';
import { eventually } from '../support/service-process.ts';

const browser = useBrowser();
const run = promisify(execFile);

const read = 'read-0123456789abcdef';
const TOKENS = `write:write-0123456789abcdef,read:${read}`;
const link =
  '/?match=lat.ncy&name=web.latency&name=it%27s+%24HOME&from=-30m&resolution=5m&show=band,count&layout=overlaid';
const names = ['db.latency', 'web.latency', "it's $HOME"];
/** Longer than a pattern can say to the letter; the last is what such a pattern takes for the first. */
const long = ['.1', '.2', '-1'].map((end) => `"=dup"${'.x'.repeat(100)}${end}`);
const openService = browser.shared({ summaries: minutesOf([...names, ...long]) });
const closedService = browser.shared({ summaries: minutesOf(names), env: { TOKENS } });

test('a link shows somebody else the same thing', async () => {
  const service = await openService();
  const { page } = await browser.open(service, { path: link });
  await page.locator('.chart canvas').first().waitFor();
  const shows = async (shown: typeof page) => ({
    pattern: await shown.getByLabel('Metric names that match').inputValue(),
    titles: await shown.locator('.chart h3').allTextContents(),
    labels: await shown.locator('.legend .label').allTextContents(),
    resolution: await shown.getByLabel('Resolution').inputValue(),
    checked: await shown.locator('#statistics input:checked').count(),
  });
  const expected = {
    pattern: 'lat.ncy',
    titles: ['min–max', 'count'],
    labels: ["it's $HOME", 'web.latency', "it's $HOME", 'web.latency'],
    resolution: '5m',
    checked: 2,
  };
  await eventually(async () => expect(await shows(page)).toEqual(expected));
  const fixed = new URL(await page.locator('#link').inputValue());
  expect(fixed.searchParams.get('from')).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  const { page: other } = await browser.open(service, { path: fixed.href });
  await other.locator('.chart canvas').first().waitFor();
  await eventually(async () => expect(await shows(other)).toEqual(expected));
  await other.getByText('the range is fixed').waitFor();
});

describe.each([
  ['without tokens', openService, false],
  ['with a token', closedService, true],
] as const)('what is shown, %s,', (_, service, isClosed) => {
  test('can be saved as CSV, and had by the command that is shown', async () => {
    const { page, url, reads } = await browser.open(await service(), { path: link });
    if (isClosed) {
      await page.getByLabel('Token that may read').fill(read);
      await page.getByRole('button', { name: 'Use it' }).click();
    }
    await page.locator('.chart canvas').first().waitFor();
    await page.getByText('Share and export').click();

    const command = (await page.locator('#curl').textContent()) ?? '';
    expect(command).not.toContain(read);
    expect(command.includes('$M2PG_TOKEN')).toBe(isClosed);
    const { stdout } = await run('sh', ['-c', command], {
      env: { PATH: process.env.PATH, M2PG_TOKEN: read, HOME: '/tmp' },
    });
    const headers = { Authorization: `Bearer ${read}` };
    const expected = await (await fetch(`${url}/metrics?${reads.at(-1)}`, { headers })).json();
    expect(JSON.parse(stdout)).toEqual(expected);
    expect(expected).toHaveLength(2);

    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save as CSV' }).click(),
    ]);
    expect(download.suggestedFilename()).toMatch(/^m2pg-.*\.csv$/);
    const lines = (await readFile(await download.path(), 'utf8')).trimEnd().split('\r\n');
    expect(lines[0]).toBe('name,bucket,time,count,mean,median,min,max,perc95,perc99,last,units');
    const buckets = expected as { count: unknown[] }[];
    expect(lines).toHaveLength(1 + buckets.reduce((sum, { count }) => sum + count.length, 0));
    expect(lines[1]).toMatch(/^it's \$HOME,\d+,/);
  });
});

test('what is picked is saved once, and nothing else, also where its pattern matches more', async () => {
  const [first = '', second = ''] = long;
  const picked = [first, second, 'db.latency'].map((name) => `name=${encodeURIComponent(name)}`).join('&');
  const { page, reads } = await browser.open(await openService(), { path: `/?${picked}&resolution=hour` });
  await eventually(async () =>
    expect(await page.locator('.chart h3').allTextContents()).toEqual([first, second, 'db.latency']),
  );
  const patterns = reads.map((read) => read.get('name'));
  expect(new Set(patterns).size).toBe(patterns.length);
  await page.getByText('Share and export').click();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Save as CSV' }).click(),
  ]);
  const rows = (await readFile(await download.path(), 'utf8')).trimEnd().split('\r\n').slice(1);
  const keys = rows.map((row) => row.split(',', 2).join());
  expect(new Set(keys).size).toBe(keys.length);
  const cells = [first, second].map((name) => `"${name.replaceAll('"', '""')}"`);
  expect(new Set(rows.map((row) => row.split(',', 1)[0]))).toEqual(new Set([...cells, 'db.latency']));
});

test('a service with tokens is asked with the one that the person gives, once, and it is kept for the tab only', async () => {
  const { page, url } = await browser.open(await closedService(), { path: '/?match=latency' });
  const dialog = page.getByRole('dialog');
  await dialog.getByText('a token is needed that may read').waitFor();
  await page.getByLabel('Token that may read').fill('wrong-0123456789abcdef');
  await page.keyboard.press('Enter');
  await dialog.getByText('the service does not know that token').waitFor();
  await page.getByLabel('Token that may read').fill(read);
  await page.keyboard.press('Enter');
  await page.locator('.chart canvas').first().waitFor();
  await page.reload();
  await page.locator('.chart canvas').first().waitFor();
  expect(await dialog.isVisible()).toBe(false);
  await page.goto(`${url}/status`);
  await page.getByText('1 of 1 databases are up').waitFor();

  const kept = await page.evaluate('[JSON.stringify(sessionStorage), JSON.stringify(localStorage), document.cookie]');
  expect(kept).toEqual([JSON.stringify({ 'm2pg token': read }), '{}', '']);
  const other = await page.context().newPage();
  await other.clock.install();
  for (const path of ['/?match=latency', '/status']) {
    await other.goto(url + path);
    await other.getByRole('dialog').waitFor();
    await other.getByRole('button', { name: 'Cancel' }).click();
    await other.getByRole('alert').getByText('a token is needed that may read').waitFor();
    await other.clock.runFor(20_000);
    expect(await other.getByRole('dialog').isVisible()).toBe(false);
    await other.getByRole('button', { name: 'Give another token' }).click();
    await other.getByRole('dialog').waitFor();
  }
});

test('a token that may not read is told so, and another one can be given', async () => {
  const { page } = await browser.open(await closedService());
  await page.getByLabel('Token that may read').fill('write-0123456789abcdef');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').getByText('this token may write; one is needed that may read').waitFor();
  await page.getByRole('button', { name: 'Give another token' }).click();
  await page.getByRole('dialog').waitFor();
});
