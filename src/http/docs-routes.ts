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
  <link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
  <div id="api"></div>
  <script src="docs/swagger-ui-bundle.js"></script>
  <script src="docs/start.js"></script>
</body>
</html>
`;

const start = "SwaggerUIBundle({ url: 'openapi.json', dom_id: '#api', deepLinking: true, validatorUrl: null });\n";

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
  const [html, script] = [Buffer.from(page), Buffer.from(start)];
  const pageHeaders = { 'Content-Type': 'text/html; charset=UTF-8', 'Content-Security-Policy': pagePolicy };
  const scriptHeaders = { 'Content-Type': 'text/javascript; charset=utf-8' };
  app.get('/docs', (c) =>
    answerAsset(
      c,
      assetOf('/docs', () => createAsset(html, pageHeaders)),
    ),
  );
  app.get('/docs/start.js', (c) =>
    answerAsset(
      c,
      assetOf('start.js', () => createAsset(script, scriptHeaders)),
    ),
  );
  app.get('/docs/:file', (c, next) => {
    const file = c.req.param('file');
    const contentType = Object.hasOwn(assets, file) ? assets[file] : undefined;
    if (contentType === undefined) return next();
    const headers = { 'Content-Type': contentType, 'Cache-Control': 'public, max-age=86400' };
    const read = () => createAsset(readFileSync(join(assetsDirectory, file)), headers);
    return Promise.resolve(answerAsset(c, assetOf(file, read)));
  });
}
