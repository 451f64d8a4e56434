import { expect, test } from 'vitest';
import { minutesOf, post, useBrowser } from '../support/browser.ts';
import { untilCaughtUp } from '../support/service-client.ts';
import { eventually } from '../support/service-process.ts';

const browser = useBrowser();

const hostileName = '<img src=x onerror="document.title=1"><script>document.title=2</script>&amp;';
const silent = { name: 'silent', bucket: Math.floor(Date.now() / 1000) - 7_200, value: 5 };
const older = { ...silent, name: 'silent.longer', bucket: silent.bucket - 86_400, value: 7 };
const now = Math.floor(Date.now() / 1000);
/** Of buckets such that now is well within one: those of a log drain are minutes. */
const drainWidth = [240, 300, 420].find((width) => now % width > 45 && now % width < width - 75) ?? 540;
const drained = Array.from({ length: 9 }, (_, index) => ({
  ...minutesOf(['drained'], 1)[0],
  bucket: (Math.floor(now / drainWidth) - index) * drainWidth,
  count: index === 0 ? 52 : 175,
}));
const days = Array.from({ length: 10 * 24 }, (_, index) => ({
  ...minutesOf(['days'], 1)[0],
  bucket: (Math.floor(now / 3_600) - index) * 3_600,
  count: 60,
}));
const service = browser.shared({
  summaries: [...minutesOf(['web.latency', hostileName]), silent, older, ...drained, ...days],
});

test('an incomplete answer is shown as such, with the database that did not answer, until it does', async () => {
  const { page, proxies } = await browser.start({
    summaries: minutesOf(['web.latency']),
    path: '/?match=latency',
    count: 2,
  });
  const readAgain = () => page.getByRole('button', { name: '15m' }).click();
  await page.locator('.chart canvas').waitFor();
  expect(await page.locator('#missing').isVisible()).toBe(false);
  await proxies[1]?.set('refuse');
  await readAgain();
  await page.getByText('Incomplete: db2 (unreachable) did not answer').waitFor();
  expect(await page.locator('.chart canvas').isVisible()).toBe(true);
  await proxies[1]?.set('pass');
  await eventually(async () => {
    await readAgain();
    expect(await page.locator('#missing').isVisible()).toBe(false);
  });
});

test('what is missing without harm is said too', async () => {
  const [env, count] = [{ WRITE_ACKS: '2' }, 2];
  const { page, proxies, service } = await browser.start({
    summaries: minutesOf(['web.latency']),
    path: '/?match=latency',
    env,
    count,
  });
  await page.locator('.chart canvas').waitFor();
  await untilCaughtUp(service);
  await proxies[0]?.set('refuse');
  await page.getByRole('button', { name: '15m' }).click();
  await page.getByText('db1 (unreachable) did not answer. What is shown is complete all the same.').waitFor();
});

test('what the service has against a request is shown in its words', async () => {
  const { page, proxies } = await browser.start({
    summaries: minutesOf(['web.latency']),
    path: '/?match=latency&from=-6x',
  });
  await page.getByRole('alert').getByText('from: expected Unix seconds').waitFor();
  await page.getByRole('button', { name: '1h', exact: true }).click();
  await page.locator('.chart canvas').waitFor();
  expect(await page.getByRole('alert').getByText('from:').isVisible()).toBe(false);
  await page.getByLabel('Metric names that match').fill('latency(');
  await page
    .locator('#match-problem')
    .getByText(/regular expression|parentheses/)
    .waitFor();
  await page.getByLabel('Metric names that match').fill('latency');
  await page.locator('#match-problem').waitFor({ state: 'hidden' });
  await Promise.all(proxies.map((proxy) => proxy.set('refuse')));
  await page.getByRole('button', { name: '15m' }).click();
  await page.getByRole('alert').getByText('no database answered. What is shown is from before.').waitFor();
  expect(await page.locator('.chart canvas').isVisible()).toBe(true);
});

test('a service that cannot be reached is told from one that has nothing', async () => {
  const { page } = await browser.open(await service(), { path: '/?match=latency' });
  await page.locator('.chart canvas').waitFor();
  await page.context().setOffline(true);
  await page.getByRole('button', { name: '15m' }).click();
  await page.getByRole('alert').getByText('the service cannot be reached').waitFor();
  await page.context().setOffline(false);
  await page.getByRole('button', { name: '1h', exact: true }).click();
  await page.locator('#problem').waitFor({ state: 'hidden' });
});

test('no data yet: the page says how to send some, with the host that it is on, and shows it when it comes', async () => {
  const { page, url } = await browser.start({ prepare: (opened) => opened.clock.install() });
  await page.getByRole('heading', { name: 'No data yet' }).waitFor();
  const [curl, drain] = await page.locator('#empty pre').allTextContents();
  expect(curl).toBe(`curl -d '{"name":"foo.web.requests","value":4.25}' ${url}/metrics`);
  expect(drain).toBe(`heroku drains:add ${url}/logs -a YOUR-APP`);
  await post(url, [{ name: 'foo.web.requests', value: 4.25 }]);
  await page.clock.runFor(5_100);
  await page.locator('.chart canvas').waitFor();
  expect(await page.locator('.chart .value').allTextContents()).toEqual(['4.25', '4.25']);
});

test('where nothing matches, or there is nothing in the range, the page says what to do', async () => {
  const { page } = await browser.open(await service(), { path: '/?match=latensy' });
  await page.getByRole('heading', { name: 'No metric matches latensy' }).waitFor();
  await page.getByRole('button', { name: 'Show all names' }).click();
  await page.getByRole('heading', { name: 'web.latency' }).waitFor();
  await page.getByLabel('Metric names that match').fill('silent$');
  await page.getByRole('heading', { name: 'Nothing in this range' }).waitFor();
  await page.getByRole('button', { name: 'Show the hour in which the last came' }).click();
  await eventually(async () => expect(await page.locator('.chart .value').allTextContents()).toEqual(['5', '5']));
});

test('what is picked and has nothing in the range is not taken for nothing picked; the way leads to its own latest', async () => {
  const showLast = async (path: string) => {
    const { page } = await browser.open(await service(), { path });
    await page.getByRole('heading', { name: 'Nothing in this range' }).waitFor();
    await page.getByRole('button', { name: 'Show the hour in which the last came' }).click();
    return page;
  };
  // Also where the list does not hold it, so that the page does not know yet when it ended.
  for (const path of ['/?name=silent.longer', '/?name=silent.longer&match=web']) {
    const page = await showLast(path);
    await eventually(async () => expect(await page.locator('.chart .value').allTextContents()).toEqual(['7', '7']));
  }
  const page = await showLast('/?name=silent.never&match=web&to=-1m');
  await page.getByRole('alert').getByText('Nothing has ever come of what is picked.').waitFor();
  await page.goto(new URL('/?name=web.latency&name=silent.longer', page.url()).href);
  await page.getByText('1 of the picked metrics has nothing in this range.').waitFor();
});

test('while a pattern is wrong, nothing is said of what it would find', async () => {
  const { page } = await browser.open(await service(), { path: '/?match=[ab' });
  await page.getByRole('heading', { name: 'That is no pattern yet' }).waitFor();
  await page.locator('#match-problem').waitFor();
  expect([await page.locator('#note').isVisible(), await page.locator('#names-count').textContent()]).toEqual([
    false,
    'none',
  ]);
  await page.getByLabel('Metric names that match').fill('web');
  await page.getByText('1 metric,').waitFor();
  await page.getByLabel('Metric names that match').fill('web[');
  await page.locator('#match-problem').waitFor();
  expect([await page.locator('#note').isVisible(), await page.locator('#names-count').textContent()]).toEqual([
    false,
    '1, from before',
  ]);
});

test('count is not drawn of what is not over, also where it comes wider than it is read', async () => {
  const { page } = await browser.open(await service(), { path: '/?match=drained&show=count' });
  await page.getByText(`a point every ${drainWidth / 60} min`).waitFor();
  expect(await page.locator('.chart .value').allTextContents()).toEqual(['175']);
  await page.getByLabel('sum').check();
  // Mean 10 × count 175.
  await eventually(async () => expect(await page.locator('.chart .value').allTextContents()).toEqual(['175', '1,750']));
});

test('count is not drawn of a day or a year that is not over', async () => {
  const { page } = await browser.open(await service(), { path: '/?match=days&show=count&from=-7d&resolution=day' });
  const chart = page.locator('.chart');
  await chart.locator('.plot').focus();
  const seen: (string | null)[] = [];
  for (const key of ['Home', ...Array(6).fill('ArrowRight')]) {
    await page.keyboard.press(key);
    seen.push(await chart.locator('.value').textContent());
  }
  expect(seen).toEqual([...Array(6).fill('1,440'), '–']);
  await page.getByLabel('Resolution').selectOption('month');
  await page.getByText('a point every month, read').waitFor();
  expect(await chart.locator('.value').textContent()).toBe('–');
  await page.goto(page.url().replace('month', 'year'));
  await page.getByText(/a point every year, read at \S+, again every 60 s/).waitFor();
  expect(await chart.locator('.value').textContent()).toBe('–');
});

test('a name is text, whatever it looks like, and no script but the own ones can run', async () => {
  const { page, url } = await browser.open(await service(), { path: '/?match=img&layout=overlaid' });
  await page.locator('.chart canvas').first().waitFor();
  expect(await page.locator('#names .name').textContent()).toBe(hostileName);
  expect(await page.locator('.legend .label').first().textContent()).toBe(hostileName);
  await page.getByLabel('one for each metric').check();
  await eventually(async () => expect(await page.locator('.chart h3').textContent()).toBe(hostileName));
  expect([await page.title(), await page.locator('img, main script, aside script').count()]).toEqual([
    'm2pg charts',
    0,
  ]);
  for (const path of ['/', '/status']) {
    const policy = (await fetch(url + path)).headers.get('Content-Security-Policy');
    expect(policy).toMatch(
      /^default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';/,
    );
    expect(policy).not.toContain('unsafe');
  }
});
