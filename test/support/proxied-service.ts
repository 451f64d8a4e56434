import { freshDatabaseUrl } from './fresh-database.ts';
import { type Service, startService } from './service-process.ts';
import type { TcpLink } from './tcp-link.ts';
import { startTcpProxy } from './tcp-proxy.ts';

/** A service whose databases are sound, and each of them behind a network that can break. */
export interface ProxiedService {
  readonly service: Service;
  /** Past the network. */
  readonly urls: readonly URL[];
  readonly proxies: readonly TcpLink[];
}

export interface ProxiedServiceOptions {
  /** How many databases. */
  readonly count?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Addresses of this machine by which the databases are reached, in turn. */
  readonly hosts?: readonly (string | undefined)[];
}

/** Starts it on fresh databases; all is gone when the test has finished. */
export async function startProxiedService(options: ProxiedServiceOptions = {}): Promise<ProxiedService> {
  const { count = 3, env, hosts = [] } = options;
  const urls = await Promise.all(Array.from({ length: count }, () => freshDatabaseUrl()));
  const proxies = await Promise.all(urls.map((url, index) => startTcpProxy(url, 'pass', hosts[index])));
  const service = await startService({ env: { ...databaseUrls(proxies.map(({ url }) => url)), ...env } });
  return { service, urls, proxies };
}

/** The environment of a service on some databases. */
export function databaseUrls(urls: readonly URL[]): { DATABASE_URLS: string } {
  return { DATABASE_URLS: urls.map(String).join('|') };
}
