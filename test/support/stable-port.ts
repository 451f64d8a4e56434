import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** A free port below those that the system gives to outgoing connections: nobody takes it while its server is down. */
export async function findStablePort(host = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = randomInt(15_000, 32_000);
    const isFree = await new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(false));
      probe.listen(port, host, () => probe.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}
