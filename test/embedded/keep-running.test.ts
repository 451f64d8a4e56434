import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { keepRunning, type ServerEvent } from '../../src/embedded/keep-running.ts';
import { eventually } from '../support/service-process.ts';

/** A server that is only pretended, kept running with pauses of some milliseconds. */
function keepPretended(start: () => Promise<void> = async () => undefined) {
  const server = { isRunning: true, wasShutDown: false, starts: 0 };
  const events: ServerEvent[] = [];
  const stopping = new AbortController();
  const kept = keepRunning(
    {
      isRunning: async () => server.isRunning,
      wasShutDown: async () => server.wasShutDown,
      async start() {
        server.starts += 1;
        await start();
        server.isRunning = true;
      },
      tell: (event) => events.push(event),
      firstPauseMs: 5,
    },
    stopping.signal,
  );
  onTestFinished(() => {
    stopping.abort();
    return kept;
  });
  const stop = async () => {
    stopping.abort();
    await kept;
  };
  return { server, events, stop, types: () => events.map(({ type }) => type.replace('server_', '')) };
}

test('starts a server that ended by itself, and goes on to look after it', async () => {
  const { server, events, types } = keepPretended();
  await sleep(700);
  expect([server.starts, events]).toEqual([0, []]);
  for (let time = 1; time <= 2; time += 1) {
    server.isRunning = false;
    await eventually(() => expect(types()).toHaveLength(2 * time));
  }
  expect(events).toEqual([
    { type: 'server_lost', pauseMs: 5 },
    { type: 'server_restarted' },
    { type: 'server_lost', pauseMs: 10 },
    { type: 'server_restarted' },
  ]);
  expect(server.starts).toBe(2);
});

test('tries again after ever longer pauses, five times, then says that it does not any more', async () => {
  const failure = new Error('no room');
  const { server, events, types } = keepPretended(() => Promise.reject(failure));
  server.isRunning = false;
  await eventually(() => expect(types()).toContain('abandoned'));
  expect(events).toEqual([
    { type: 'server_lost', pauseMs: 5 },
    ...[10, 20, 40, 80].map((pauseMs) => ({ type: 'server_lost', pauseMs, cause: failure })),
    { type: 'server_abandoned', starts: 5, withinMs: 600_000 },
  ]);
  expect(server.starts).toBe(5);
  await sleep(700);
  expect(server.starts).toBe(5);
  // Somebody has mended it, and started it by hand.
  server.isRunning = true;
  await eventually(() => expect(types().at(-1)).toBe('restarted'));
});

test('leaves a server that was shut down, until somebody starts it', async () => {
  const { server, types } = keepPretended();
  server.wasShutDown = true;
  server.isRunning = false;
  await sleep(1_200);
  expect([server.starts, types()]).toEqual([0, ['left']]);
  server.isRunning = true;
  server.wasShutDown = false;
  await eventually(() => expect(types()).toEqual(['left', 'restarted']));
  server.isRunning = false;
  await eventually(() => expect(types()).toEqual(['left', 'restarted', 'lost', 'restarted']));
});

test('starts nothing once it is to stop, and ends without waiting for a pause', async () => {
  const { server, types, stop } = keepPretended(() => Promise.reject(new Error('no room')));
  server.isRunning = false;
  await eventually(() => expect(types().length).toBeGreaterThan(2));
  await stop();
  const { starts } = server;
  await sleep(700);
  expect(server.starts).toBe(starts);
});
