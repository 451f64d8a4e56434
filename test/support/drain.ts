import type { createTestApp } from './test-app.ts';

/** One frame as logplex sends it: octet-counted, without structured data. */
export function logplexFrame(
  message: string,
  { time = '2012-12-11T05:12:10.123456+00:00', procid = 'web.1' } = {},
): string {
  return counted(`<40>1 ${time} d.34bc219c-983b-463e-a17d-3d34ee7db812 heroku ${procid} - ${message}\n`);
}

/** One frame as log-shuttle sends it. */
export function shuttleFrame(
  message: string,
  { time = '2012-12-11T05:12:10.123456+00:00', procid = 'shuttle' } = {},
): string {
  return counted(`<190>1 ${time} shuttle token ${procid} - - ${message}\n`);
}

/** A frame with its length before it. */
export function counted(frame: string): string {
  return `${Buffer.byteLength(frame)} ${frame}`;
}

type App = Pick<ReturnType<typeof createTestApp>, 'app'>;

/** Delivers a body as a drain does. */
export async function deliver(
  { app }: App,
  body: string | Uint8Array,
  { query = '', headers = {} }: { readonly query?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Response> {
  const all = { 'Content-Type': 'application/logplex-1', ...headers };
  return app.request(`/logs${query}`, {
    method: 'POST',
    body: body as RequestInit['body'],
    headers: all,
  } as RequestInit);
}
