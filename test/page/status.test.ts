import { expect, test } from 'vitest';
import { minutesOf, post, useBrowser } from '../support/browser.ts';
import { logplexFrame } from '../support/drain.ts';
import { runSql } from '../support/fresh-database.ts';
import { eventually } from '../support/service-process.ts';

const browser = useBrowser();

test('/status tells how each database is, down, back and repaired, and follows it by itself', async () => {
  const { page, proxies, url } = await browser.start({
    summaries: minutesOf(['web.latency'], 3),
    path: '/status',
    count: 2,
  });
  await page.getByText('2 of 2 databases are up; a write needs 1. Writes are taken.').waitFor();
  const card = page.getByRole('article', { name: 'db2' });
  const figure = (name: string) => card.locator(`[data-figure="${name}"]`);
  expect(await card.locator('.state').textContent()).toBe('up');
  expect(await figure('Since').textContent()).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, \d+ s ago$/);
  expect(await figure('Round trip').textContent()).toMatch(/^[\d.]+ ms$/);
  expect(await figure('Clock').textContent()).toBe('as that of the service');
  expect(await page.locator('#warnings').isVisible()).toBe(false);
  await eventually(async () => expect(await figure('Queue').textContent()).toBe('empty'));
  await eventually(async () => expect(await figure('Behind').textContent()).toBe('nothing'));
  expect(await figure('Last repair').textContent()).toBe('none by this process');
  await eventually(async () => expect(await figure('Writes').textContent()).toBe('1 done, 0 failed'));

  await proxies[1]?.set('refuse');
  await page.getByText('1 of 2 databases are up').waitFor();
  expect(await card.locator('.state').textContent()).toBe('down');
  expect(await figure('Last failure').textContent()).toContain('(unreachable)');
  expect(await figure('Behind').textContent()).toBe('not known until it is back');

  await post(url, minutesOf(['web.errors'], 7));
  await proxies[1]?.set('pass');
  await page.getByText('2 of 2 databases are up').waitFor();
  const isRepaired = /^\d+ s ago; 7 summaries copied to it$/;
  await eventually(async () => expect(await figure('Last repair').textContent()).toMatch(isRepaired), 60_000);
  await page.getByRole('link', { name: 'Charts' }).click();
  await page.getByRole('heading', { name: 'web.latency' }).waitFor();
});

test('/status tells of log drains, of what was broken in them and of what was lost before', async () => {
  const { page, service } = await browser.start({ path: '/status', count: 1 });
  await page.getByText('1 of 1 databases are up').waitFor();
  expect(await page.locator('#logs').isVisible()).toBe(false);
  const body =
    logplexFrame('measure#a=1 count#b=<b>x') +
    logplexFrame('Error L10 (output buffer overflow): 500 messages dropped since then', { procid: 'logplex' });
  expect((await fetch(`${service.url}/logs`, { method: 'POST', body })).status).toBe(200);
  await page
    .getByText('Log drains, to this process: 2 lines, 1 values, 1 broken, 500 lines lost upstream (L10).')
    .waitFor();
  expect(await page.locator('#logs-broken li').allTextContents()).toEqual(['count#b=<b>x: is not a number']);
});

test('/status tells of weeks that are held back, and of clocks that differ', async () => {
  const { page, url, urls } = await browser.start({ path: '/status', count: 2 });
  await page.getByText('2 of 2 databases are up').waitFor();
  await runSql(urls[1] as URL, 'update retention_state set weeks_held_back = 7');
  await page.getByText('db2 holds back 7 weeks past RETENTION: "m2pg gc --drop" drops them').waitFor();
  await page.route(`${new URL('/-/status', url)}`, async (route) => {
    const status = await (await route.fetch()).json();
    const message = 'the clock of db1 is 35 s ahead of that of this service: set both right, by NTP';
    const [first, second] = status.databases;
    const databases = [{ ...first, clockOffsetMs: 35_000 }, second];
    await route.fulfill({ json: { ...status, warnings: [message], databases } });
  });
  await page.getByText('the clock of db1 is 35 s ahead of that of this service').waitFor();
  const card = page.getByRole('article', { name: 'db1' });
  expect(await card.locator('[data-figure="Clock"]').textContent()).toBe('35 s ahead');
});
