import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { minutesOf, useBrowser } from '../support/browser.ts';
import { eventually } from '../support/service-process.ts';

const browser = useBrowser();

const fleet = Array.from({ length: 50 }, (_, index) => `fleet.host${String(index).padStart(2, '0')}`);
const service = browser.shared({ summaries: minutesOf([...fleet, 'web.latency']) });

const readingOf = (page: Page) => page.locator('.chart .reading').first().textContent();
const reachOf = async (page: Page, selector: string) => {
  const box = await page.locator(selector).first().boundingBox();
  if (!box) throw new Error(`no ${selector}`);
  return box;
};

test('what is read stays while the pointer is in the legend, which can be scrolled to its end', async () => {
  const path = '/?match=fleet&layout=overlaid&show=mean,perc95&resolution=minute&from=-40m';
  const { page, reads } = await browser.open(await service(), {
    path,
    prepare: async (opened) => {
      await opened.clock.install();
      // By its own clock, which is put forward.
      await opened.route(/\/metrics\b/, async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, headers: { ...response.headers(), date: 'unknown' } });
      });
    },
  });
  await page.locator('.chart canvas').first().waitFor();
  const plot = await reachOf(page, '.u-over');
  await page.mouse.move(plot.x + plot.width / 2, plot.y + 100);
  const instant = /^\d{4}-\d\d-\d\d \d\d:\d\d:00$/;
  await eventually(async () => expect(await readingOf(page)).toMatch(instant));
  const [reading, values] = [await readingOf(page), await page.locator('.chart .value').allTextContents()];

  const legend = await reachOf(page, '.legend');
  await page.mouse.move(plot.x + plot.width / 2, legend.y + 40, { steps: 20 });
  await page.mouse.wheel(0, 5_000);
  await page.locator('.legend li').nth(49).getByText('fleet.host49').click({ trial: true });
  expect([await readingOf(page), await page.locator('.chart .value').allTextContents()]).toEqual([reading, values]);

  // Also when it is read again, and has gone on to the left.
  for (let minutes = 0; minutes < 5; minutes += 1) {
    const before = reads.length;
    await page.clock.runFor(60_000);
    await eventually(() => expect(reads.length).toBeGreaterThan(before));
    await page.locator('main[aria-busy=false]').waitFor();
  }
  expect(await readingOf(page)).toBe(reading);

  const other = await reachOf(page, '.bar');
  await page.mouse.move(other.x + 5, other.y + 5);
  await eventually(async () => expect(await readingOf(page)).toMatch(/^latest/));
});

test('a drag that leaves the plot selects up to its edge', async () => {
  const { page } = await browser.open(await service(), { path: '/?match=web&from=-40m&resolution=minute' });
  await page.locator('.chart canvas').first().waitFor();
  const plot = await reachOf(page, '.u-over');
  await page.mouse.move(plot.x + plot.width / 2, plot.y + 50);
  await page.mouse.down();
  await page.mouse.move(plot.x + plot.width - 30, plot.y + 50, { steps: 5 });
  await page.mouse.move(plot.x + plot.width + 200, plot.y + 400);
  await page.mouse.up();
  await eventually(() => expect(new URL(page.url()).searchParams.get('to')).toMatch(/Z$/));
  const { searchParams } = new URL(page.url());
  const [from, to] = ['from', 'to'].map((bound) => Date.parse(searchParams.get(bound) ?? '') / 60_000);
  expect((to ?? 0) - (from ?? 0)).toBeCloseTo(20, 0);
});

test('a finger that goes sideways reads and selects a range, one that goes down scrolls', async () => {
  const context = { viewport: { width: 390, height: 480 }, hasTouch: true, isMobile: true };
  const { page } = await browser.open(await service(), { path: '/?match=web&from=-40m&resolution=minute', context });
  await page.locator('.chart canvas').first().waitFor();
  await page.evaluate('scrollTo(0, 10_000)');
  const devtools = await page.context().newCDPSession(page);
  const touch = (type: string, ...points: { x: number; y: number }[]) =>
    devtools.send('Input.dispatchTouchEvent', { type: type as 'touchStart', touchPoints: points });
  const drag = async (dx: number, dy: number) => {
    const plot = await reachOf(page, '.u-over');
    const [x, y] = [plot.x + plot.width * 0.75, plot.y + plot.height * 0.75];
    await touch('touchStart', { x, y });
    for (let step = 1; step <= 10; step += 1)
      await touch('touchMove', { x: x + (dx * step) / 10, y: y + (dy * step) / 10 });
    return plot;
  };
  const scrolled = () => page.evaluate('scrollY') as Promise<number>;

  const before = await scrolled();
  await drag(3, 90);
  await touch('touchEnd');
  await eventually(async () => expect(before - (await scrolled())).toBeGreaterThan(50));
  expect([new URL(page.url()).searchParams.get('from'), (await readingOf(page))?.slice(0, 6)]).toEqual([
    '-40m',
    'latest',
  ]);

  await drag(-100, 4);
  await touch('touchCancel');
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(new URL(page.url()).searchParams.get('from')).toBe('-40m');

  const { width } = await drag(-100, 4);
  await eventually(async () => expect(await readingOf(page)).toMatch(/:00$/));
  expect(await readingOf(page)).not.toMatch(/^latest/);
  await touch('touchEnd');
  await eventually(() => expect(new URL(page.url()).searchParams.get('from')).toMatch(/Z$/));
  const { searchParams } = new URL(page.url());
  const [from, to] = ['from', 'to'].map((bound) => Date.parse(searchParams.get(bound) ?? '') / 60_000);
  expect((to ?? 0) - (from ?? 0)).toBeCloseTo((40 * 100) / width, 0);
});
