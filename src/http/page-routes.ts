import { hash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';

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

interface Asset {
  readonly contentType: string;
  readonly bytes: Buffer<ArrayBuffer>;
  readonly compressed: Buffer<ArrayBuffer>;
  readonly etag: string;
}

/** Adds the pages for people, `/` and `/status`, and what they are made of. They hold no data: that they ask for. */
export function addPageRoutes(app: OpenAPIHono): void {
  const paths = new Map([
    ...readdirSync(pageFolder)
      .filter((file) => ['.css', '.js', '.svg'].includes(extname(file)))
      .map((file) => [file, join(pageFolder, file)] as const),
    ['uplot.js', join(plotFolder, 'uPlot.iife.min.js')],
    ['uplot.css', join(plotFolder, 'uPlot.min.css')],
  ]);
  const assets = new Map<string, Asset>();
  /** Read when it is first asked for, and kept: all together they are small. */
  const assetOf = (key: string, make: () => Asset): Asset => {
    const asset = assets.get(key) ?? make();
    assets.set(key, asset);
    return asset;
  };
  const modules = [...paths.keys()].filter((file) => extname(file) === '.js' && !/^uplot|-page\.js$/.test(file));

  app.get('/', (c) =>
    answer(
      c,
      assetOf('/', () => readPage('charts.html', modules)),
    ),
  );
  app.get('/status', (c) =>
    answer(
      c,
      assetOf('/status', () => readPage('status.html', [])),
    ),
  );
  app.get('/page/:file', (c, next) => {
    const file = c.req.param('file');
    const path = paths.get(file);
    if (path === undefined) return next();
    return Promise.resolve(
      answer(
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

function toAsset(extension: string, bytes: Buffer<ArrayBuffer>): Asset {
  return {
    contentType: contentTypes[extension] ?? 'application/octet-stream',
    bytes,
    compressed: gzipSync(bytes, { level: 9 }),
    etag: `"${hash('sha256', bytes, 'base64url').slice(0, 22)}"`,
  };
}

/** Asked for anew each time, which costs a line when it is still the same: a page is never mixed of two versions. */
function answer(c: Context, { contentType, bytes, compressed, etag }: Asset): Response {
  const headers: Record<string, string> = { 'Cache-Control': 'no-cache', ETag: etag, Vary: 'Accept-Encoding' };
  if (contentType.startsWith('text/html')) headers['Content-Security-Policy'] = pagePolicy;
  if (c.req.header('If-None-Match')?.includes(etag)) return c.body(null, 304, headers);
  const isCompressed = /\bgzip\b(?!\s*;\s*q=0(\.0*)?\b)/.test(c.req.header('Accept-Encoding') ?? '');
  return c.body(isCompressed ? compressed : bytes, 200, {
    ...headers,
    'Content-Type': contentType,
    ...(isCompressed && { 'Content-Encoding': 'gzip' }),
  });
}
