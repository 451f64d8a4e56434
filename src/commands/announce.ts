import type { Config } from '../config.ts';
import type { Observe } from '../domain/observation.ts';
import { type Databases, describeEmbedded } from './databases.ts';

/** Tells the log, and the person at the terminal who configured nothing, where the service is. */
export function announce(port: number, config: Config, { embedded }: Databases, observe: Observe): void {
  const isLoopback = ['127.0.0.1', '::1', 'localhost'].includes(config.host);
  const url = `http://localhost:${port}`;
  if (embedded.length > 0) {
    process.stdout.write(`${describeEmbedded(embedded)}

  write:  curl -d '{"name":"hello.world","value":42}' ${url}/metrics
  read:   curl '${url}/metrics?name=hello'
  more:   ${url}/docs

`);
  }
  observe({ type: 'listening', url: isLoopback ? url : `http://${config.host}:${port}`.replace('//::', '//[::]') });
}
