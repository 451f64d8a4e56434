import { expect, test } from 'vitest';
import { useBrowser } from '../support/browser.ts';
import { eventually } from '../support/service-process.ts';

const browser = useBrowser();

const minute = Math.floor(Date.now() / 60_000) * 60;
const point = (name: string, secondsAgo: number, value: number) => ({ name, bucket: minute - secondsAgo, value });

/** A value a minute; in the latest ten minutes but one, three. */
const points = ['web.latency', 'db.latency'].flatMap((name, place) =>
  Array.from({ length: 25 }, (_, index) => {
    const value = 100 + 40 * Math.sin(index / 3) + 30 * place;
    const first = point(name, 60 * (index + 1), value);
    const more = [point(name, 60 * (index + 1) - 5, value / 2), point(name, 60 * (index + 1) - 10, value / 3)];
    return index > 0 && index < 10 ? [first, ...more] : [first];
  }).flat(),
);
const service = browser.shared({ summaries: points });

test('what is an upper bound only is dashed, and its value says so', async () => {
  const { page } = await browser.open(await service(), {
    path: '/?match=latency&resolution=minute&from=-30m&show=mean,perc95',
  });
  const chart = page.locator('.chart').first();
  await chart.locator('canvas').waitFor();
  // The latest minute has one value: that is its percentile.
  const values = chart.locator('.value');
  await eventually(async () => expect((await values.allTextContents()).join()).not.toMatch(/at most/));
  expect(await chart.locator('.bounds').textContent()).toBe('Dashed: an upper bound');
  await chart.locator('.plot').focus();
  await page.keyboard.press('End');
  await page.keyboard.press('ArrowLeft');
  await eventually(async () => expect(await values.nth(1).textContent()).toMatch(/^at most \d/));
  expect(await values.nth(0).textContent()).toMatch(/^\d/);
  expect(await values.nth(1).getAttribute('title')).toMatch(/upper bound/);
  await page.keyboard.press('End');
  await eventually(async () => expect(await values.nth(1).textContent()).toMatch(/^\d/));
  expect(await values.nth(1).getAttribute('title')).toBe('');
});

/** Of the columns of pixels of a chart that hold the colour of p95, and of those between, by whether it is an upper bound there. */
const drawnShares = `(() => {
  const canvas = document.querySelector('.chart canvas');
  const { width, height } = canvas;
  const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
  const isDrawn = Array.from({ length: width }, (_, x) =>
    Array.from({ length: height }, (_, y) => 4 * (y * width + x)).some(
      (at) => data[at] > 180 && data[at + 1] < 130 && data[at + 2] < 90));
  const [first, last] = [isDrawn.indexOf(true), isDrawn.lastIndexOf(true)];
  // Of 24 minutes from the first to the last value, 10 are at a bound; a minute more at either side may be of both.
  const minute = (last - first) / 24;
  const share = (from, to) => {
    const columns = isDrawn.slice(Math.ceil(first + from * minute), Math.floor(first + to * minute));
    return columns.filter(Boolean).length / columns.length;
  };
  return [share(0, 13), share(15, 23)];
})()`;

test('a line is whole where its values are known, and dashed where they are upper bounds', async () => {
  const { page } = await browser.open(await service(), {
    path: '/?match=db&resolution=minute&from=-30m&show=mean,perc95',
    context: { colorScheme: 'light' },
  });
  await page.locator('.chart canvas').waitFor();
  await eventually(async () => {
    const [known = 0, bound = 0] = (await page.evaluate(drawnShares)) as number[];
    expect(known).toBe(1);
    expect(bound).toBeGreaterThan(0.3);
    expect(bound).toBeLessThan(0.8);
  });
});
