import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { minutesOf, useBrowser } from '../support/browser.ts';
import { eventually } from '../support/service-process.ts';

const browser = useBrowser();

const longName = `${'averylongnameofametricwithoutaplacetobreak'.repeat(5)}delay`;
const service = browser.shared({ summaries: minutesOf(['db.latency', 'web.errors', 'web.latency', longName]) });

/** What has the focus, and whether that can be seen. */
const focused = (page: Page) =>
  page.evaluate(`(() => {
    const { activeElement: element } = document;
    const labels = [...(element.labels ?? [])].map((label) => label.textContent).join(' ');
    const label = element.getAttribute('aria-label') ?? (labels || element.textContent);
    return { tag: element.tagName, label: label.trim(), isSeen: getComputedStyle(element).outlineStyle !== 'none' };
  })()`) as Promise<{ tag: string; label: string; isSeen: boolean }>;

test('all of it can be done with the keyboard alone, and it is seen where the focus is', async () => {
  const { page } = await browser.open(await service());
  await page.getByText('4 metrics').waitFor();
  expect(await focused(page)).toMatchObject({ label: 'Metric names that match', isSeen: true });
  await page.keyboard.type('latency');
  await page.getByText('2 metrics').waitFor();
  const seen: { tag: string; label: string; isSeen: boolean }[] = [];
  const tabTo = async (label: string) => {
    for (let steps = 0; steps < 60; steps += 1) {
      await page.keyboard.press('Tab');
      const now = await focused(page);
      seen.push(now);
      if (now.label.startsWith(label)) return;
    }
    throw new Error(`never came to ${label}: ${seen.map((one) => one.label).join(', ')}`);
  };
  await tabTo('db.latency');
  await page.keyboard.press('Space');
  await eventually(async () => expect(await page.locator('.chart h3').allTextContents()).toEqual(['web.latency']));
  expect((await focused(page)).label).toContain('db.latency');
  await tabTo('count');
  await page.keyboard.press('Space');
  await eventually(async () => expect(await page.locator('.chart').count()).toBe(2));
  await tabTo('15m');
  await page.keyboard.press('Enter');
  await eventually(() => expect(new URL(page.url()).searchParams.get('from')).toBe('-15m'));
  await tabTo('Earlier');
  await page.keyboard.press('Enter');
  await eventually(() => expect(new URL(page.url()).searchParams.get('to')).toMatch(/Z$/));
  await page.locator('.chart canvas').first().waitFor();
  await tabTo('web.latency');
  expect(seen.filter(({ label, isSeen }) => label === '' || !isSeen)).toEqual([]);
  expect(await page.locator('main [aria-live], main [role=status], main [role=alert]').count()).toBeGreaterThan(4);
});

test('long names break nothing and text can be read, light and dark, on a phone and on a desk', async () => {
  for (const [colorScheme, width] of [
    ['light', 390],
    ['dark', 390],
    ['light', 1_200],
    ['dark', 1_200],
  ] as const) {
    const context = { viewport: { width, height: 800 }, colorScheme };
    const open = async (path: string) => (await browser.open(await service(), { path, context })).page;
    const [charts, status] = [await open('/?match=de?lay|latency&layout=overlaid'), await open('/status')];
    if (width < 700) await charts.getByText('Names, statistics, export').click();
    await charts.getByText('Share and export').click();
    await eventually(async () => expect(await charts.locator('.chart h3').allTextContents()).toEqual(['mean', 'p95']));
    await status.getByText('1 of 1 databases are up').waitFor();
    const wider = `['#names', '.legend', 'main', 'aside'].filter((one) => {
      const { scrollWidth, clientWidth } = document.querySelector(one);
      return scrollWidth > clientWidth;
    })`;
    expect(await charts.evaluate(wider)).toEqual([]);
    for (const page of [charts, status]) {
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
      const colours = (await page.evaluate(
        `['color', 'backgroundColor'].map((name) => getComputedStyle(document.body)[name])`,
      )) as string[];
      const [text = 0, ground = 0] = colours.map((colour) => Number(/\d+/.exec(colour)?.[0]));
      expect(text < ground).toBe(colorScheme === 'light');
      expect(Math.abs(text - ground)).toBeGreaterThan(180);
    }
  }
});
