import { existsSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeEach, expect, onTestFinished } from 'vitest';
import { share } from './cleanup.ts';
import { type ProxiedService, type ProxiedServiceOptions, startProxiedService } from './proxied-service.ts';

/** Where Debian and others put it. */
const executablePath = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser'].find(
  (path) => path !== undefined && existsSync(path),
);

export interface BrowserPageOptions {
  readonly path?: string;
  readonly context?: BrowserContextOptions;
  /** What is to be done with the page before it goes anywhere. */
  readonly prepare?: (page: Page) => Promise<unknown>;
}

export interface BrowserServiceOptions extends ProxiedServiceOptions {
  /** What is stored before a page is opened. */
  readonly summaries?: readonly object[];
}

/** A page of the service, as a browser shows it. */
export interface BrowserPage extends ProxiedService {
  readonly page: Page;
  readonly url: string;
  /** The queries of the reads of metrics so far. */
  readonly reads: readonly URLSearchParams[];
}

/**
 * For a file of tests in a browser: skips them where there is none, and says so. A page on which a script fails, or that breaks
 * its Content-Security-Policy, fails its test.
 */
export function useBrowser() {
  let browser: Promise<Browser> | undefined;
  beforeEach(({ skip }) => skip(executablePath === undefined, 'no Chromium is installed'));
  afterAll(async () => (await browser)?.close());

  /** Opens a page of a service, as somebody who shares nothing with the other pages. */
  const open = async (proxied: ProxiedService, options: BrowserPageOptions = {}): Promise<BrowserPage> => {
    // Tests run as root in containers, where Chromium's own sandbox cannot.
    browser ??= chromium.launch({ executablePath: executablePath ?? '', args: ['--no-sandbox'] });
    const context = await (await browser).newContext({ viewport: { width: 1_200, height: 900 }, ...options.context });
    context.setDefaultTimeout(30_000);
    onTestFinished(() => context.close());
    const page = await context.newPage();
    const reads: URLSearchParams[] = [];
    page.on('request', (request) => {
      const asked = new URL(request.url());
      if (asked.pathname === '/metrics') reads.push(asked.searchParams);
    });
    failOnErrorsOf(page);
    await options.prepare?.(page);
    await page.goto(new URL(options.path ?? '/', proxied.service.url).href);
    return { ...proxied, page, url: proxied.service.url, reads };
  };

  const start = async ({ summaries = [], ...options }: BrowserServiceOptions = {}): Promise<ProxiedService> => {
    const proxied = await startProxiedService({ count: 1, ...options });
    if (summaries.length > 0) await post(proxied.service.url, summaries, options.env?.TOKENS);
    return proxied;
  };

  return {
    open,
    /** Opens a page of a service of the test's own. */
    start: async (options: BrowserServiceOptions & BrowserPageOptions = {}) => open(await start(options), options),
    /** A service for all tests of the file, which must be content with what the others have done to it. */
    shared(options: BrowserServiceOptions): () => Promise<ProxiedService> {
      let starting: ReturnType<typeof share<ProxiedService>> | undefined;
      afterAll(async () => (await starting)?.end());
      return async () => {
        starting ??= share(() => start(options));
        return (await starting).value;
      };
    },
  };
}

/** Sends summaries with the first token, if there are any. */
export async function post(url: string, summaries: readonly object[], tokens?: string): Promise<void> {
  const [, secret] = /:([^,]+)/.exec(tokens ?? '') ?? [];
  const headers: Record<string, string> = secret === undefined ? {} : { Authorization: `Bearer ${secret}` };
  const response = await fetch(`${url}/metrics`, { method: 'POST', headers, body: JSON.stringify(summaries) });
  expect(response.status).toBe(201);
}

function failOnErrorsOf(page: Page): void {
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    // That an answer is no 200 is for the page to show, and the browser says it too.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      errors.push(message.text());
  });
  onTestFinished(() => expect(errors).toEqual([]));
}

/** So many minutes of some metrics, the latest a minute ago; all statistics distinct. */
export function minutesOf(names: readonly string[], minutes = 30): object[] {
  const now = Math.floor(Date.now() / 60_000) * 60;
  return names.flatMap((name, place) =>
    Array.from({ length: minutes }, (_, index) => {
      const mean = 10 + place + (index % 5);
      return {
        name,
        bucket: now - 60 * (index + 1),
        count: 4,
        mean,
        median: mean - 1,
        min: mean - 5,
        max: mean + 50,
        perc95: mean + 20,
        perc99: mean + 30,
        last: mean + 1,
      };
    }),
  );
}

/** Drags over the middle half of the first chart. */
export async function dragOverHalf(page: Page): Promise<void> {
  const box = await page.locator('.chart .u-over').first().boundingBox();
  if (!box) throw new Error('no chart');
  await page.mouse.move(box.x + box.width * 0.25, box.y + 50);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.75, box.y + 60, { steps: 5 });
  await page.mouse.up();
}
