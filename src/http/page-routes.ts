import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import type { OpenAPIHono } from '@hono/zod-openapi';
import { type Asset, answerAsset, createAsset, createAssets } from './assets.ts';

const pageFolder = join(import.meta.dirname, '../page');
const plotFolder = join(dirname(createRequire(import.meta.url).resolve('uplot/package.json')), 'dist');

const contentTypes: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Nothing but our own files, and no script or style in the page itself: what a metric is named can never run. */
const pagePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Adds the pages for people, `/` and `/status`, and what they are made of. They hold no data: that they ask for. */
export function addPageRoutes(app: OpenAPIHono): void {
  const paths = new Map([
    ...readdirSync(pageFolder)
      .filter((file) => ['.css', '.js', '.svg'].includes(extname(file)))
      .map((file) => [file, join(pageFolder, file)] as const),
    ['uplot.js', join(plotFolder, 'uPlot.iife.min.js')],
    ['uplot.css', join(plotFolder, 'uPlot.min.css')],
  ]);
  const assetOf = createAssets();
  const modules = [...paths.keys()].filter((file) => extname(file) === '.js' && !/^uplot|-page\.js$/.test(file));

  app.get('/', (c) =>
    answerAsset(
      c,
      assetOf('/', () => readPage('charts.html', modules)),
    ),
  );
  app.get('/status', (c) =>
    answerAsset(
      c,
      assetOf('/status', () => readPage('status.html', [])),
    ),
  );
  app.get('/page/:file', (c, next) => {
    const file = c.req.param('file');
    const path = paths.get(file);
    if (path === undefined) return next();
    return Promise.resolve(
      answerAsset(
        c,
        assetOf(file, () => toAsset(extname(file), readFileSync(path))),
      ),
    );
  });
}

/** Without a list of its modules the browser would learn of each only from the one that imports it, one after another. */
function readPage(file: string, modules: readonly string[]): Asset {
  const preloads = modules.map((module) => `  <link rel="modulepreload" href="page/${module}">`).join('\n');
  const token = readFileSync(join(pageFolder, 'token.html'), 'utf8');
  const html = readFileSync(join(pageFolder, file), 'utf8')
    .replace('<!-- modules -->', () => preloads)
    .replace('<!-- token -->', () => token);
  return toAsset('.html', Buffer.from(html));
}

/** Asked for anew each time, which costs a line when it is still the same: a page is never mixed of two versions. */
function toAsset(extension: string, bytes: Buffer<ArrayBuffer>): Asset {
  const isPage = extension === '.html';
  return createAsset(bytes, {
    'Content-Type': contentTypes[extension] ?? 'application/octet-stream',
    'Cache-Control': 'no-cache',
    ...(isPage && { 'Content-Security-Policy': pagePolicy }),
  });
}
