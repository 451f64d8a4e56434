import { OpenAPIHono, type z } from '@hono/zod-openapi';
import { cors } from 'hono/cors';
import { routePath } from 'hono/route';
import { Failure, invalidRequest, type Problem, toFailure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import type { Token } from '../domain/token.ts';
import { documentTokens, requireToken } from './access.ts';
import { createBodyLimits } from './body.ts';
import { addDeleteRoute, type DeleteRouteOptions } from './delete-route.ts';
import { addDocsRoutes } from './docs-routes.ts';
import { compressAnswer } from './gzip.ts';
import { addLogsRoute } from './logs-route.ts';
import { addMetricsRoutes, type MetricsRoutesOptions } from './metrics-routes.ts';
import { addOperationRoutes, type Operation } from './operation-routes.ts';
import { addPageRoutes } from './page-routes.ts';
import { problemResponse } from './problem.ts';
import { securityHeaders } from './security-headers.ts';

export interface AppOptions extends Omit<MetricsRoutesOptions & DeleteRouteOptions, 'bodyLimits'> {
  readonly bodyBytesMax: number;
  readonly operation: Operation;
  readonly version: string;
  readonly observe: Observe;
  /** None: whoever reaches the service may do everything. */
  readonly tokens?: readonly Token[];
  /** Of pages that may call it from a browser, as `https://example.com`. */
  readonly corsOrigins?: readonly string[];
}

/** The HTTP service. It never listens: whoever has it can call `app.request()`, or hand `app.fetch` to a server. */
export function createApp({
  operation,
  version,
  observe,
  tokens = [],
  corsOrigins = [],
  bodyBytesMax,
  ...options
}: AppOptions): OpenAPIHono {
  const app = new OpenAPIHono({
    defaultHook: (result) => {
      if (result.success) return;
      throw invalidRequest(...result.error.issues.flatMap(problemsOf));
    },
  });

  const bodyLimits = createBodyLimits(bodyBytesMax);
  app.use(async (c, next) => {
    const begun = performance.now();
    await next();
    bodyLimits.budget.giveBack(c.req);
    // Here, since each middleware more is a promise more for every write.
    if (c.req.method === 'GET' || c.req.method === 'HEAD') await compressAnswer(c);
    addSecurityHeaders(c.res);
    const durationMs = performance.now() - begun;
    observe({ type: 'request', method: c.req.method, route: routePath(c, -1), status: c.res.status, durationMs });
  });

  if (corsOrigins.length > 0) app.use(cors(corsOptions(corsOrigins)));
  if (tokens.length > 0) app.use(requireToken(tokens));

  addMetricsRoutes(app, { ...options, bodyLimits });
  addLogsRoute(app, { ...options, bodyLimits, observe });
  addDeleteRoute(app, options);
  addOperationRoutes(app, operation);
  addDocsRoutes(app, version);
  addPageRoutes(app);
  if (tokens.length > 0) documentTokens(app);

  const paths = new Map(Object.entries(Object.groupBy(app.routes, ({ path }) => path)));
  app.notFound((c) => {
    const methods = new Set(
      paths.get(c.req.path)?.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method])),
    );
    if (methods.size === 0) return problemResponse(c, new Failure('not_found', 'there is no such path; see /docs'));
    const allowed = [...methods].filter((method) => method !== 'ALL').join(', ');
    c.header('Allow', allowed);
    return problemResponse(c, new Failure('method_not_allowed', `this path takes ${allowed}`));
  });

  app.onError((error, c) => {
    const response = problemResponse(c, toFailure(error));
    // The answer says no more than that the log holds the error, so the log must.
    if (response.status === 500) {
      observe({ type: 'request_failed', method: c.req.method, route: routePath(c, -1), cause: error });
    }
    return response;
  });

  return app;
}

/** The problems of a zod issue, each with its path. Unknown parameters are one issue, but one problem each. */
function problemsOf(issue: z.core.$ZodIssue): Problem[] {
  const { path, message } = issue;
  if (issue.code !== 'unrecognized_keys') return [{ path: path.join('.'), message }];
  return issue.keys.map((key) => ({ path: [...path, key].join('.'), message }));
}

/** Those that were not given by the route itself, which knows better. */
function addSecurityHeaders(response: Response): void {
  // Answers to writes have them already: to set one here would cost more than all the rest of the answer.
  if (response.status === 201) return;
  for (const [name, value] of Object.entries(securityHeaders))
    if (!response.headers.has(name)) response.headers.set(name, value);
}

function corsOptions(origins: readonly string[]) {
  return {
    origin: [...origins],
    allowMethods: ['GET', 'POST', 'DELETE'],
    allowHeaders: ['Authorization', 'Content-Type', 'Content-Encoding', 'Idempotency-Key'],
    exposeHeaders: ['M2pg-Copies', 'M2pg-Databases', 'M2pg-Complete', 'M2pg-More', 'Retry-After'],
    maxAge: 600,
  };
}
