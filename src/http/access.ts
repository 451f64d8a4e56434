import { hash, timingSafeEqual } from 'node:crypto';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context, MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import { Failure } from '../domain/failure.ts';
import type { Scope, Token } from '../domain/token.ts';
import { problemAnswer } from './problem.ts';

/** What each route needs. One that is not listed needs `admin`: a route that was forgotten here is open to few. */
const scopeOf: Readonly<Record<string, Scope | 'open'>> = {
  'POST /metrics': 'write',
  'POST /logs': 'write',
  'GET /metrics': 'read',
  'DELETE /metrics': 'admin',
  'GET /metrics/names': 'read',
  'GET /-/status': 'read',
  'GET /-/metrics': 'read',
  'GET /-/healthy': 'open',
  'GET /-/ready': 'open',
  // The pages hold no data; what they show, they ask for with a token.
  'GET /': 'open',
  'GET /status': 'open',
  'GET /page/:file': 'open',
  'GET /openapi.json': 'open',
  'GET /docs': 'open',
  'GET /docs/start.js': 'open',
  'GET /docs/dark.css': 'open',
  'GET /docs/:file': 'open',
};

/** The path of what is matched by this middleware alone. */
const noRoute = '/*';

/**
 * Lets through who may do what is asked, before anything of the body is read.
 *
 * A token comes as Bearer, or with Basic as user or as password, where log drains and Grafana put it.
 *
 * @throws Failure `unauthenticated` or `forbidden`, to the error handler of the app.
 */
export function requireToken(tokens: readonly Token[]): MiddlewareHandler {
  const digests = tokens.map(({ scope, secret }) => ({ scope, digest: digestOf(secret) }));

  /** Goes through all of them, so that the time tells nothing. */
  const scopesOf = (secret: string): Scope[] => {
    const digest = digestOf(secret);
    return digests.filter((known) => timingSafeEqual(known.digest, digest)).map(({ scope }) => scope);
  };

  return (c, next) => {
    const needed = scopeNeeded(c);
    if (needed === 'open') return next();
    const scopes = secretsIn(c.req.header('Authorization')).flatMap(scopesOf);
    if (scopes.length === 0) throw new Failure('unauthenticated', `a token is needed that may ${needed}`);
    if (scopes.includes(needed) || scopes.includes('admin')) return next();
    throw new Failure('forbidden', `this token may ${scopes.join(' and ')}; one is needed that may ${needed}`);
  };
}

/** Adds to the OpenAPI document what whoever lacks a token is answered, on each route that needs one. */
export function documentTokens({ openAPIRegistry }: OpenAPIHono): void {
  for (const definition of openAPIRegistry.definitions) {
    if (definition.type !== 'route') continue;
    const { method, path, responses } = definition.route;
    const needed = scopeOf[`${method.toUpperCase()} ${path}`] ?? 'admin';
    if (needed === 'open') continue;
    Object.assign(responses, {
      401: problemAnswer('No token, or one that is not known.'),
      403: problemAnswer(`A token that may not ${needed}.`),
    });
  }
}

function scopeNeeded(c: Context): Scope | 'open' {
  const path = routePath(c, -1);
  // There is nothing behind it to be seen.
  if (path === noRoute) return 'open';
  const method = c.req.method === 'HEAD' ? 'GET' : c.req.method;
  return scopeOf[`${method} ${path}`] ?? 'admin';
}

/** SHA-256: of equal length, whatever was sent. */
function digestOf(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

function secretsIn(header: string | undefined): string[] {
  const [, scheme = '', value = ''] = /^(bearer|basic) +(\S+)\s*$/i.exec(header ?? '') ?? [];
  if (scheme.toLowerCase() === 'bearer') return [value];
  if (scheme.toLowerCase() !== 'basic') return [];
  const [user = '', ...password] = Buffer.from(value, 'base64').toString().split(':');
  return [user, password.join(':')].filter((secret) => secret !== '');
}
