import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { createTestApp } from '../support/test-app.ts';

const { app, memory } = createTestApp();

/** Everything that a text of ours loads by itself. */
const loadedBy = (text: string) => [
  ...[...text.matchAll(/(?:src|href)="(page\/[^"]+)"/g)].map(([, path]) => `/${path}`),
  ...[...text.matchAll(/from '\.\/([^']+)'/g)].map(([, file]) => `/page/${file}`),
];

test('the charts are small: all that they load, compressed', async () => {
  const html = await (await app.request('/')).text();
  const sizes = ['/', ...new Set(loadedBy(html))].map(async (path) => {
    const response = await app.request(path, { headers: { 'Accept-Encoding': 'gzip' } });
    expect(response.headers.get('Content-Encoding')).toBe('gzip');
    return (await response.arrayBuffer()).byteLength;
  });
  expect((await Promise.all(sizes)).reduce((sum, size) => sum + size)).toBeLessThan(71_000);
});

describe.each(['/', '/status'])('the page %s', (path) => {
  test('loads all it needs from here, its modules included, and touches no database', async () => {
    const response = await app.request(path);
    expect([response.status, response.headers.get('Content-Type')]).toEqual([200, 'text/html; charset=utf-8']);
    const seen = new Set<string>();
    const wanted = loadedBy(await response.text());
    for (let next = wanted.pop(); next !== undefined; next = wanted.pop()) {
      if (seen.has(next)) continue;
      seen.add(next);
      const loaded = await app.request(next);
      expect([next, loaded.status]).toEqual([next, 200]);
      if (next.endsWith('.js')) expect(loaded.headers.get('Content-Type')).toBe('text/javascript; charset=utf-8');
      if (!next.includes('uplot')) wanted.push(...loadedBy(await loaded.text()));
    }
    expect(seen.size).toBeGreaterThan(5);
    expect(memory.calls).toEqual({ write: 0, read: 0 });
  });

  test('holds no script and no style of its own, and its policy would run none', async () => {
    const response = await app.request(path);
    const html = await response.text();
    expect(html).not.toMatch(/<script(?![^>]*src=)|<style|\sstyle=|\son\w+=/);
    expect(html).toContain('id="token-dialog"');
    expect(response.headers.get('Content-Security-Policy')).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
  });
});

test('no text of data can become markup: nothing here makes any from text', async () => {
  const html = await (await app.request('/')).text();
  for (const path of [...new Set(loadedBy(html)), '/page/status-page.js'].filter((one) => !one.includes('uplot'))) {
    expect(await (await app.request(path)).text()).not.toMatch(
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(/,
    );
  }
});

test('the charts know all their modules from the start', async () => {
  const html = await (await app.request('/')).text();
  const preloaded = [...html.matchAll(/modulepreload" href="(page\/[^"]+)"/g)].map(([, path]) => path);
  expect(preloaded).toContain('page/chart-plans.js');
  expect(preloaded).not.toContain('page/status-page.js');
});

describe('a file of the pages', () => {
  test('is sent compressed to who takes that, the same to the byte', async () => {
    const plain = await app.request('/page/uplot.js');
    const packed = await app.request('/page/uplot.js', { headers: { 'Accept-Encoding': 'br, gzip' } });
    expect([plain.headers.get('Content-Encoding'), packed.headers.get('Content-Encoding')]).toEqual([null, 'gzip']);
    const [whole, bytes] = [await plain.bytes(), await packed.bytes()];
    expect(gunzipSync(bytes).equals(whole)).toBe(true);
    expect(bytes.length).toBeLessThan(whole.length / 2);
    expect(packed.headers.get('Vary')).toBe('Accept-Encoding');
    const refused = await app.request('/page/page.css', { headers: { 'Accept-Encoding': 'gzip;q=0' } });
    expect(refused.headers.get('Content-Encoding')).toBeNull();
  });

  test('is not sent again while it is the same', async () => {
    const first = await app.request('/page/page.css');
    const etag = first.headers.get('ETag') ?? '';
    const again = await app.request('/page/page.css', { headers: { 'If-None-Match': etag } });
    expect([again.status, await again.text()]).toEqual([304, '']);
    const other = await app.request('/page/page.css', { headers: { 'If-None-Match': '"other"' } });
    expect([other.status, other.headers.get('Cache-Control')]).toEqual([200, 'no-cache']);
  });

  test.each([
    'tsconfig.json',
    'charts.html',
    'token.html',
    'constructor',
    '__proto__',
    '..%2f..%2fpackage.json',
    'uPlot.d.ts',
  ])('is not %s', async (file) => {
    expect((await app.request(`/page/${file}`)).status).toBe(404);
  });
});
