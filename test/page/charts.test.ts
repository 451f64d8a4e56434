import type { Locator, Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { resolutionFor } from '../../src/page/time-range.js';
import { type BrowserPageOptions, dragOverHalf, minutesOf, post, useBrowser } from '../support/browser.ts';
import { eventually } from '../support/service-process.ts';

const browser = useBrowser();

const names = ['db.latency', 'web.errors', 'web.latency'];
const fleet = Array.from({ length: 52 }, (_, index) => `fleet.host${String(index).padStart(2, '0')}.cpu.utilisation`);
const service = browser.shared({
  summaries: [...minutesOf(names), ...minutesOf(fleet, 2), ...minutesOf(['growing'], 3)],
});

const open = async (path: string, options: BrowserPageOptions = {}) =>
  browser.open(await service(), { path, ...options });
const titles = (page: Page) => page.locator('.chart h3').allTextContents();
const valuesOf = (chart: Locator) => chart.locator('.value').allTextContents();
const stateOf = (page: Page) => new URL(page.url()).searchParams;

test('shows at once which names match what is typed, and their charts; each can be picked', async () => {
  const { page } = await open('/');
  await page.getByLabel('Metric names that match').pressSequentially('latency');
  await eventually(async () =>
    expect(await page.locator('#names .name').allTextContents()).toEqual(['db.latency', 'web.latency']),
  );
  await eventually(async () => expect(await titles(page)).toEqual(['db.latency', 'web.latency']));
  await page.getByRole('checkbox', { name: 'db.latency' }).uncheck();
  await eventually(async () => expect(await titles(page)).toEqual(['web.latency']));
  expect(stateOf(page).getAll('name')).toEqual(['web.latency']);
  await page.getByRole('button', { name: 'None' }).click();
  await page.getByRole('heading', { name: 'What is to be shown?' }).waitFor();
  await page.getByRole('button', { name: 'All that match' }).click();
  await eventually(async () => expect(await titles(page)).toEqual(['db.latency', 'web.latency']));
});

test('where there are many names, none is picked until somebody does: one, or all, of which 50 are shown', async () => {
  const { page } = await open('/');
  await page.getByText('There are 56 metrics: type a part of a name, or pick names from the list.').waitFor();
  const checked = page.locator('#names input:checked');
  expect([await checked.count(), await titles(page)]).toEqual([0, []]);
  await page.getByRole('checkbox', { name: 'web.errors' }).check();
  await eventually(async () => expect(await titles(page)).toEqual(['web.errors']));
  expect([await checked.count(), stateOf(page).getAll('name')]).toEqual([1, ['web.errors']]);
  const untilAll = async () => {
    await page.getByText('Only the first 50 metrics are shown').waitFor();
    await eventually(async () => expect((await titles(page)).length).toBe(50));
    expect(await checked.count()).toBe(56);
  };
  await page.getByRole('button', { name: 'All that match' }).click();
  await untilAll();
  await page.goBack();
  await page.goBack();
  await page.getByRole('button', { name: 'Show the first 50' }).click();
  await untilAll();
  await page.reload();
  await untilAll();
  // A pattern that is typed and taken back again asks for less, not for all.
  await page.getByLabel('Metric names that match').fill('web');
  await eventually(async () => expect(await titles(page)).toEqual(['web.errors', 'web.latency']));
  await page.getByLabel('Metric names that match').fill('');
  await page.getByText('There are 56 metrics').waitFor();
  expect(await checked.count()).toBe(0);
});

test('takes a range by preset, as text, by a drag on a chart, and the back button undoes it', async () => {
  const { page, reads } = await open('/?match=web');
  await page.locator('.chart canvas').first().waitFor();
  const width = () => Number(reads.at(-1)?.get('to')) - Number(reads.at(-1)?.get('from'));
  // It begins with a whole bucket.
  const untilWidth = async (seconds: number) => {
    await eventually(() => expect(width() / seconds).toBeCloseTo(1.01, 1.5));
    // And it is drawn, too: what is dragged over is what is seen.
    await page.locator('main[aria-busy=false]').waitFor();
  };
  await page.getByRole('button', { name: '6h', exact: true }).click();
  await untilWidth(6 * 3_600);
  const range = page.getByLabel(/^Range: one bound/);
  await range.fill('-90m');
  await range.press('Enter');
  await untilWidth(5_400);
  await range.fill('-50m -10m');
  await range.press('Enter');
  await untilWidth(2_400);
  expect([stateOf(page).get('from'), stateOf(page).get('to')]).toEqual(['-50m', '-10m']);

  await dragOverHalf(page);
  await untilWidth(1_200);
  expect(stateOf(page).get('from')).toMatch(/^\d{4}-\d\d-\d\dT/);
  await page.goBack();
  await untilWidth(2_400);
  await page.goBack();
  await untilWidth(5_400);
  expect(await range.inputValue()).toBe('-90m');
  await page.getByRole('button', { name: 'Zoom out' }).click();
  await untilWidth(10_800);
  expect([stateOf(page).get('from'), stateOf(page).get('to')]).toEqual(['-10800s', null]);
});

test('chooses the resolution by the width of the charts, or takes the one that is chosen', async () => {
  const { page, reads } = await open('/?match=web.l&from=-6h');
  await page.locator('.chart canvas').first().waitFor();
  expect(reads.at(-1)?.get('resolution')).toBe('2m');
  const phone = { viewport: { width: 390, height: 800 } };
  const { page: narrow } = await open('/?match=web.l&from=-6h', { context: phone });
  await narrow.getByText('a point every 5 min').waitFor();
  await page.getByLabel('Resolution').selectOption('hour');
  await page.getByText('a point every hour').waitFor();
  expect([reads.at(-1)?.get('resolution'), stateOf(page).get('resolution')]).toEqual(['hour', 'hour']);
});

test('reads by the same resolution before there are charts and when they are read again', async () => {
  const layouts = [
    ['web.l', ''],
    ['latency', ''],
    ['latency', '&layout=overlaid'],
    ['web.l', '&show=mean,count'],
  ];
  for (const [match, rest] of layouts) {
    for (const width of [700, 1_280, 1_900]) {
      const context = { viewport: { width, height: 800 } };
      const { page, reads } = await open(`/?match=${match}${rest}`, { context });
      await page.locator('.chart canvas').first().waitFor();
      await page.evaluate(`document.dispatchEvent(new Event('visibilitychange'))`);
      await eventually(() => expect(reads.length).toBeGreaterThan(1));
      expect([match, width, new Set(reads.map((read) => read.get('resolution'))).size]).toEqual([match, width, 1]);
      // It is that of the width which the charts have.
      const drawn = (await page.evaluate(`document.querySelector('.chart').offsetWidth`)) as number;
      expect(reads[0]?.get('resolution')).toBe(resolutionFor(3_600, drawn));
      await page.close();
    }
  }
});

test('shows each statistic, a chart for each metric or all of them overlaid', async () => {
  const { page } = await open('/?match=latency&resolution=minute');
  await page.locator('.chart canvas').first().waitFor();
  for (const label of ['min–max', 'median', 'p99', 'last', 'count', 'sum'])
    await page.getByLabel(label, { exact: true }).check();
  await eventually(async () =>
    expect(await titles(page)).toEqual([
      'db.latency',
      'db.latency',
      'db.latency',
      'web.latency',
      'web.latency',
      'web.latency',
    ]),
  );
  const charts = page.locator('.chart');
  await eventually(async () => {
    expect(await charts.nth(3).locator('.label').allTextContents()).toEqual([
      'min–max',
      'mean',
      'median',
      'p95',
      'p99',
      'last',
    ]);
    expect(await valuesOf(charts.nth(3))).toEqual(['7 – 62', '12', '11', '32', '42', '13']);
    expect(await valuesOf(charts.nth(4))).toEqual(['4']);
    // Mean 12 × count 4.
    expect(await valuesOf(charts.nth(5))).toEqual(['48']);
  });
  await page.getByLabel('overlaid').check();
  await eventually(async () =>
    expect(await titles(page)).toEqual(['min–max', 'mean', 'median', 'p95', 'p99', 'last', 'count', 'sum']),
  );
  expect(await charts.nth(1).locator('.label').allTextContents()).toEqual(['db.latency', 'web.latency']);
  expect(await valuesOf(charts.nth(7))).toEqual(['40', '48']);
  expect(stateOf(page).get('layout')).toBe('overlaid');
  await charts.nth(1).getByRole('button', { name: 'web.latency' }).click();
  await eventually(async () => expect(stateOf(page).getAll('name')).toEqual(['web.latency']));
});

test('reads all values where the pointer is, in all charts, and by the arrow keys', async () => {
  const { page } = await open('/?match=latency&resolution=minute&from=-40m');
  const [first, second] = [page.locator('.chart').nth(0), page.locator('.chart').nth(1)];
  await first.locator('canvas').waitFor();
  expect(await first.locator('.reading').textContent()).toMatch(/^latest: /);
  const box = await first.locator('.u-over').boundingBox();
  if (!box) throw new Error('no chart');
  await page.mouse.move(box.x + box.width / 2, box.y + 50);
  await eventually(async () =>
    expect(await first.locator('.reading').textContent()).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:00$/),
  );
  const time = await first.locator('.reading').textContent();
  expect(await second.locator('.reading').textContent()).toBe(time);
  const [mean] = await valuesOf(first);
  expect(await valuesOf(first)).toEqual([mean, String(Number(mean) + 20)]);
  expect(await valuesOf(second)).toEqual([String(Number(mean) + 2), String(Number(mean) + 22)]);

  await first.locator('.plot').focus();
  await page.keyboard.press('Home');
  await eventually(async () => expect(await first.locator('[aria-live]').textContent()).toContain('p95'));
  const home = await first.locator('.reading').textContent();
  await page.keyboard.press('ArrowRight');
  await eventually(async () => expect(await first.locator('.reading').textContent()).not.toBe(home));
  expect(await first.locator('[aria-live]').textContent()).toContain(
    (await first.locator('.reading').textContent()) ?? '?',
  );
});

test('refreshes what ends now, in the same charts, and not while nobody looks', async () => {
  const { page, reads, url } = await open('/?match=growing&from=-15m&resolution=minute', {
    prepare: (opened) => opened.clock.install(),
  });
  const canvas = page.locator('.chart canvas');
  await canvas.waitFor();
  await page.evaluate(`document.querySelector('.chart canvas').kept = true`);
  const pass = async (ms: number) => {
    const before = reads.length;
    await page.clock.runFor(ms);
    await new Promise((resolve) => setTimeout(resolve, 300));
    return reads.length - before;
  };
  await post(url, [{ name: 'growing', value: 1_234 }]);
  const before = reads.length;
  await page.clock.runFor(5_100);
  await eventually(() => expect(reads.length).toBeGreaterThan(before));
  await eventually(async () => expect(await valuesOf(page.locator('.chart'))).toEqual(['1,234', '1,234']));
  expect(await page.evaluate(`document.querySelector('.chart canvas').kept`)).toBe(true);

  const see = (state: string) =>
    page.evaluate(`Object.defineProperty(document, 'visibilityState', { value: '${state}', configurable: true });
      document.dispatchEvent(new Event('visibilitychange'))`);
  await see('hidden');
  expect(await pass(30_000)).toBe(0);
  const hidden = reads.length;
  await see('visible');
  await page.clock.runFor(100);
  await eventually(() => expect(reads.length).toBe(hidden + 1));
  expect(await pass(100)).toBe(0);

  await page.getByLabel(/^Range: one bound/).fill('-15m -1m');
  await page.getByLabel(/^Range: one bound/).press('Enter');
  await page.getByText('the range is fixed').waitFor();
  expect(await pass(30_000)).toBe(0);
});

test('shows at most 50 metrics, and says so', async () => {
  const { page, reads } = await open('/?match=fleet&layout=overlaid&show=mean');
  await page.getByText('Only the first 50 metrics are shown').waitFor();
  expect(await page.locator('.legend .label').allTextContents()).toEqual(fleet.slice(0, 50));
  const looks = (await page.evaluate(
    `[...document.querySelectorAll('.legend svg')].map((svg) => svg.outerHTML)`,
  )) as string[];
  expect(new Set(looks).size).toBe(50);
  // Each is named: a pattern for all of them would read two more.
  expect(reads.every((read) => Buffer.byteLength(read.get('name') ?? '') <= 256)).toBe(true);
});

test('shows the units that a metric carries', async () => {
  const { page } = await open('/?match=growing', {
    prepare: (opened) =>
      opened.route(/\/metrics\?/, async (route) => {
        const response = await route.fetch();
        const metrics = (await response.json()) as object[];
        await route.fulfill({ response, json: metrics.map((metric) => ({ ...metric, units: 'ms' })) });
      }),
  });
  const chart = page.locator('.chart');
  await eventually(async () => expect((await valuesOf(chart)).join()).toMatch(/^[\d,]+ ms,[\d,]+ ms$/));
  expect(await chart.locator('.kind').textContent()).toBe('ms');
});
