import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { timeTicks } from '../../src/page/time-ticks.js';
import { createZoneClock } from '../../src/page/zone-clock.js';
import { minutesOf, useBrowser } from '../support/browser.ts';
import { eventually } from '../support/service-process.ts';

const [hour, day] = [3_600, 86_400];

function ticksOf(timezone: string, from: string, days: number, distance: number): string[] {
  const begin = Date.parse(from) / 1000;
  const clock = createZoneClock(timezone);
  return timeTicks(begin, begin + days * day, distance, clock).map((tick) =>
    new Date((tick + clock.ahead(tick)) * 1000).toISOString().slice(0, 16),
  );
}

describe('the ticks of a time axis', () => {
  test('are the midnights of the zone, also where its clocks are changed', () => {
    const days = (first: number, count: number, month: string) =>
      Array.from({ length: count }, (_, index) => `${month}-${String(first + index).padStart(2, '0')}T00:00`);
    expect(ticksOf('UTC', '2026-03-27T00:00:00Z', 4, day)).toEqual(days(27, 5, '2026-03'));
    expect(ticksOf('Europe/Paris', '2026-03-26T23:00:00Z', 4, day)).toEqual(days(27, 5, '2026-03'));
    expect(ticksOf('America/New_York', '2026-10-30T04:00:00Z', 2, day)).toEqual(
      days(30, 2, '2026-10').concat('2026-11-01T00:00'),
    );
    expect(ticksOf('Asia/Kolkata', '2026-03-27T18:30:00Z', 2, day)).toEqual(days(28, 3, '2026-03'));
  });

  test('are Mondays for weeks, and firsts for months and years', () => {
    expect(ticksOf('Europe/Paris', '2026-03-10T00:00:00Z', 30, 7 * day)).toEqual([
      '2026-03-16T00:00',
      '2026-03-23T00:00',
      '2026-03-30T00:00',
      '2026-04-06T00:00',
    ]);
    expect(ticksOf('America/New_York', '2026-01-15T00:00:00Z', 100, 30 * day)).toEqual([
      '2026-02-01T00:00',
      '2026-03-01T00:00',
      '2026-04-01T00:00',
    ]);
    expect(ticksOf('UTC', '2024-06-01T00:00:00Z', 900, 365 * day)).toEqual(['2025-01-01T00:00', '2026-01-01T00:00']);
  });

  test('are round hours and minutes of the zone', () => {
    expect(ticksOf('Asia/Kolkata', '2026-03-27T18:40:00Z', 0.5, 6 * hour)).toEqual([
      '2026-03-28T06:00',
      '2026-03-28T12:00',
    ]);
    // 02:00 is skipped in the first night and comes twice in the second.
    expect(ticksOf('Europe/Paris', '2026-03-28T23:00:00Z', 0.25, hour)).toEqual(
      ['00', '01', '03', '04', '05', '06', '07'].map((at) => `2026-03-29T${at}:00`),
    );
    expect(ticksOf('Europe/Paris', '2026-10-24T22:00:00Z', 0.25, hour)).toEqual(
      ['00', '01', '02', '02', '03', '04', '05'].map((at) => `2026-10-25T${at}:00`),
    );
  });

  test('ascend, lie within the range, and are never far apart, whatever zone and range', () => {
    const zones = fc.constantFrom(
      'UTC',
      'Europe/Paris',
      'America/New_York',
      'Australia/Lord_Howe',
      'America/Havana',
      'Asia/Kathmandu',
    );
    const distances = fc.constantFrom(60, 900, hour, 2 * hour, 6 * hour, 12 * hour, day, 7 * day, 30 * day, 90 * day);
    fc.assert(
      fc.property(zones, distances, fc.integer({ min: 0, max: 2_000_000_000 }), (timezone, distance, from) => {
        const to = from + 8 * distance;
        const ticks = timeTicks(from, to, distance, createZoneClock(timezone));
        expect(ticks.length).toBeGreaterThan(5);
        [from - 1, ...ticks].reduce((before, tick) => {
          expect(tick).toBeGreaterThan(before);
          expect(tick - before).toBeLessThan(1.1 * distance + day);
          return tick;
        });
        expect(ticks.at(-1)).toBeLessThanOrEqual(to);
      }),
    );
  });
});

const browser = useBrowser();

test('the axis has its days at the midnights of the zone that is chosen, whatever the zone of the browser', async () => {
  const labelsIn = async (timezoneId: string, query: string) => {
    const { page } = await browser.start({
      summaries: minutesOf(['web.latency']),
      context: { timezoneId },
      path: `/?match=latency&${query}`,
      prepare: (unseen) =>
        unseen.addInitScript(`{
          window.texts = [];
          const { fillText } = CanvasRenderingContext2D.prototype;
          CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
            window.texts.push(text);
            return fillText.call(this, text, ...rest);
          };
        }`),
    });
    await page.locator('.chart canvas, #empty h2').first().waitFor();
    let found: string[] = [];
    await eventually(async () => {
      found = [...new Set((await page.evaluate('window.texts')) as string[])].filter((text) =>
        /^\d\d[-:]\d\d/.test(text),
      );
      expect(found.length).toBeGreaterThan(3);
    });
    return found;
  };
  // Something must be drawn: the range ends now.
  for (const timezoneId of ['Europe/Paris', 'America/New_York', 'UTC']) {
    for (const zone of ['UTC', 'Asia/Kolkata']) {
      const labels = await labelsIn(timezoneId, `timezone=${zone}&from=-9d&resolution=hour`);
      expect(labels.filter((label) => !/^\d\d-\d\d$/.test(label))).toEqual([]);
    }
  }
});
