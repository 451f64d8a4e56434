import { whenFinished } from './cleanup.ts';
import { type Fault, openTcpLink, type TcpLink } from './tcp-link.ts';

/** Starts a link to a server, gone when the test has finished. */
export async function startTcpProxy(target: URL, initial: Fault = 'pass', host?: string): Promise<TcpLink> {
  const link = await openTcpLink(target, initial, host);
  whenFinished(link.close);
  return link;
}
