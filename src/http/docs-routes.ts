import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { OpenAPIHono } from '@hono/zod-openapi';
import { answerAsset, createAsset, createAssets } from './assets.ts';

/** From our own disk: the page works where there is no Internet, and tells nobody that it is read. */
const assets: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
};

const assetsDirectory = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));

const page = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>m2pg API</title>
  <meta name="color-scheme" content="light dark">
  <link rel="stylesheet" href="docs/swagger-ui.css">
  <link rel="stylesheet" href="docs/dark.css">
</head>
<body>
  <div id="api"></div>
  <script src="docs/swagger-ui-bundle.js"></script>
  <script src="docs/start.js"></script>
</body>
</html>
`;

const start = "SwaggerUIBundle({ url: 'openapi.json', dom_id: '#api', deepLinking: true, validatorUrl: null });\n";

/** Swagger UI has one set of colours: where the reader wants dark pages, lightness is turned round and hues stay as they are. */
const dark = `@media (prefers-color-scheme: dark) {
  body { background: #16191d; }
  .swagger-ui { filter: invert(0.9) hue-rotate(180deg); }
  .swagger-ui :is(.highlight-code, .microlight, .curl-command, img) { filter: invert(1) hue-rotate(180deg); }
}
`;

/** Swagger UI sets styles in its elements, and has pictures in its style sheet. */
const pagePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Adds the OpenAPI document and a page to read it. */
export function addDocsRoutes(app: OpenAPIHono, version: string): void {
  const describe = (what: string) => `${what} Needed where the service has tokens: to read, to write, or admin.`;
  app.openAPIRegistry.registerComponent('securitySchemes', 'token', {
    type: 'http',
    scheme: 'bearer',
    description: describe('A token.'),
  });
  app.openAPIRegistry.registerComponent('securitySchemes', 'basic', {
    type: 'http',
    scheme: 'basic',
    description: describe('A token as user or as password.'),
  });
  app.doc31('/openapi.json', {
    openapi: '3.1.0',
    info: {
      title: 'm2pg',
      version,
      description: 'Writes every metric summary to several PostgreSQL databases at once, and counts it once.',
      license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }, { basic: [] }, {}],
  });
  const assetOf = createAssets();
  const ours: readonly (readonly [path: string, text: string, headers: Record<string, string>])[] = [
    ['/docs', page, { 'Content-Type': 'text/html; charset=UTF-8', 'Content-Security-Policy': pagePolicy }],
    ['/docs/start.js', start, { 'Content-Type': 'text/javascript; charset=utf-8' }],
    ['/docs/dark.css', dark, { 'Content-Type': 'text/css; charset=utf-8' }],
  ];
  for (const [path, text, headers] of ours) {
    app.get(path, (c) => {
      const asset = assetOf(path, () => createAsset(Buffer.from(text), headers));
      return answerAsset(c, asset);
    });
  }
  app.get('/docs/:file', (c, next) => {
    const file = c.req.param('file');
    const contentType = Object.hasOwn(assets, file) ? assets[file] : undefined;
    if (contentType === undefined) return next();
    const headers = { 'Content-Type': contentType, 'Cache-Control': 'public, max-age=86400' };
    const read = () => createAsset(readFileSync(join(assetsDirectory, file)), headers);
    return Promise.resolve(answerAsset(c, assetOf(file, read)));
  });
}
