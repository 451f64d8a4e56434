import { expect, test } from 'vitest';
import { Failure } from '../../src/domain/failure.ts';
import { createGate } from '../../src/http/gate.ts';
import { createTestApp } from '../support/test-app.ts';

const refuse = () => new Failure('too_many_reads', 'too many');

test('lets in so many, then the others in their order as room is made', async () => {
  const gate = createGate({ insideMax: 2, waitingMax: 10, waitMs: 1_000, refuse });
  const leaves = [await gate.enter(), await gate.enter()];
  const entered: number[] = [];
  const later = [1, 2, 3].map((number) =>
    gate.enter().then((leave) => {
      entered.push(number);
      return leave;
    }),
  );
  await new Promise(setImmediate);
  expect(entered).toEqual([]);
  leaves[0]?.();
  leaves[0]?.();
  (await later[0])?.();
  (await later[1])?.();
  await later[2];
  expect(entered).toEqual([1, 2, 3]);
});

test('refuses whom it has no room to wait, and who has waited too long', async () => {
  const gate = createGate({ insideMax: 1, waitingMax: 1, waitMs: 30, refuse });
  const leave = await gate.enter();
  const waiting = gate.enter();
  await expect(gate.enter()).rejects.toMatchObject({ code: 'too_many_reads' });
  await expect(waiting).rejects.toMatchObject({ code: 'too_many_reads' });
  leave();
  const again = await gate.enter();
  again();
});

test('sends away who waits when the service stops, and lets in who has room', async () => {
  const stopping = new AbortController();
  const gate = createGate({ insideMax: 1, waitingMax: 10, waitMs: 60_000, stopping: stopping.signal, refuse });
  const leave = await gate.enter();
  const waiting = [gate.enter(), gate.enter()];
  stopping.abort(new Failure('stopping', 'the service is stopping'));
  for (const entered of waiting) await expect(entered).rejects.toMatchObject({ code: 'stopping' });
  await expect(gate.enter()).rejects.toMatchObject({ code: 'stopping' });
  leave();
  const again = await gate.enter();
  again();
});

test('a read waits its turn, or is answered 503', async () => {
  const { app, memory } = createTestApp({ readsMax: 1, readWaitMs: 50 });
  const { aggregate } = memory;
  const { promise, resolve } = Promise.withResolvers<void>();
  memory.aggregate = async (query) => {
    await promise;
    return aggregate(query);
  };
  const first = app.request('/metrics');
  const refused = await app.request('/metrics');
  expect([refused.status, refused.headers.get('Retry-After')]).toEqual([503, '2']);
  const patient = app.request('/metrics');
  resolve();
  expect((await first).status).toBe(200);
  expect((await patient).status).toBe(200);
  memory.aggregate = () => Promise.reject(new Error('broken'));
  await app.request('/metrics');
  memory.aggregate = aggregate;
  expect((await app.request('/metrics')).status).toBe(200);
});
