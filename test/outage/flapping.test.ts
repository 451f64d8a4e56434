import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { expectUndisturbed } from '../support/load.ts';
import { startProxiedService } from '../support/proxied-service.ts';
import { read, statesOf } from '../support/service-client.ts';
import { eventually } from '../support/service-process.ts';
import { patientMs, untilEqual } from '../support/stored.ts';
import type { TcpLink } from '../support/tcp-link.ts';

/** Twelve seconds, or as many as are asked for. */
const flapsForSeconds = Number(process.env.FLAPS_FOR_SECONDS ?? 12);

vi.setConfig({ testTimeout: patientMs + flapsForSeconds * 1_000 });

/** A return of it takes some for each purpose, and one try in half a second while it is away. */
const connectionsASecondMax = 6;

test('a database that comes and goes every two seconds disturbs no write, and is not stormed', async () => {
  const { service, urls, proxies } = await startProxiedService({ env: { READ_TIMEOUT_MS: '1000' } });
  const proxy = proxies[1] as TcpLink;
  const acceptedBefore = proxy.accepted;
  const begun = performance.now();
  const reads: Awaited<ReturnType<typeof read>>[] = [];
  const answers = await expectUndisturbed(service, async () => {
    for (let second = 0; second < flapsForSeconds; second += 2) {
      await proxy.set(second % 4 === 0 ? 'reset' : 'pass');
      await sleep(1_000);
      reads.push(await read(service, {}));
      await sleep(1_000);
    }
  });
  const seconds = (performance.now() - begun) / 1_000;
  expect(proxy.accepted - acceptedBefore).toBeLessThan(connectionsASecondMax * seconds);
  for (const { status, complete, databases } of reads) {
    expect(status).toBe(200);
    expect(complete).toBe(String(databases === 'db1=ok, db2=ok, db3=ok'));
  }
  expect(reads.filter(({ complete }) => complete === 'false').length).toBeGreaterThanOrEqual(
    Math.floor(flapsForSeconds / 4),
  );
  await untilEqual(
    urls,
    answers.all.flatMap(({ ids }) => ids),
  );
  await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'up', 'up']));
});
