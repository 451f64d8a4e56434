import { expect, test } from 'vitest';
import { dragOverHalf, minutesOf, useBrowser } from '../support/browser.ts';
import { eventually } from '../support/service-process.ts';

const browser = useBrowser();

test('times without a zone are of the zone that is chosen, and what the page writes means the same in all', async () => {
  const { page, reads } = await browser.start({
    summaries: minutesOf(['web.latency']),
    path: '/?timezone=Asia/Kolkata',
  });
  await page.locator('.chart canvas').first().waitFor();
  const stateOf = () => new URL(page.url()).searchParams;
  const range = page.getByLabel(/^Range: one bound/);
  const end = Math.floor(Date.now() / 60_000) * 60 - 300;
  const inIndia = (seconds: number) => new Date((seconds + 19_800) * 1000).toISOString().slice(0, 19);
  const inUtc = (seconds: number) => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
  const typed = inIndia(end - 1_800)
    .slice(0, 16)
    .replace('T', ' ');
  await range.fill(`${typed} to ${inIndia(end)}`);
  await range.press('Enter');
  const shows = async (from: number, to: number) => {
    await eventually(() => expect(Number(reads.at(-1)?.get('to'))).toBeCloseTo(to - 0.001, 6));
    await page.locator('main[aria-busy=false]').waitFor();
    expect([stateOf().get('from'), stateOf().get('to')]).toEqual([inUtc(from), inUtc(to)]);
    expect(await range.inputValue()).toBe(`${inIndia(from)}+05:30 ${inIndia(to)}+05:30`);
  };
  await shows(end - 1_800, end);
  // Both can be seen.
  expect((await range.boundingBox())?.width).toBeGreaterThan(350);

  await dragOverHalf(page);
  await eventually(() => expect(Number(reads.at(-1)?.get('to'))).toBeLessThan(end - 60));
  const [from = 0, to = 0] = ['from', 'to'].map((bound) => Date.parse(stateOf().get(bound) ?? '') / 1000);
  expect([(from - end + 1_350) / 60, (to - end + 450) / 60].map(Math.round).map(Math.abs)).toEqual([0, 0]);
  await shows(from, to);
  const address = page.url();
  await range.press('Enter');
  await page.locator('main[aria-busy=false]').waitFor();
  expect(page.url()).toBe(address);
  await page.getByLabel('Zone').selectOption('UTC');
  await eventually(async () => expect(await range.inputValue()).toBe(`${inUtc(from)} ${inUtc(to)}`));
});
