import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { createCalls, type Peer } from '../../src/commands/calls.ts';

/** Two ends of a channel that copies what it carries, as one between processes does. */
function channel(): [Peer, Peer] {
  const [one, other] = [new EventEmitter(), new EventEmitter()];
  const send = (to: EventEmitter) => (message: object) => void to.emit('message', JSON.parse(JSON.stringify(message)));
  return [Object.assign(one, { send: send(other) }), Object.assign(other, { send: send(one) })];
}

test('each end may ask the other, several things at once', async () => {
  const [one, other] = channel();
  const ask = createCalls(one, { name: async () => 'one' });
  const askBack = createCalls(other, { name: async () => 'other', echo: async (text) => ({ text }) });
  expect(await Promise.all([ask('echo', 'a', 100), ask('name', '', 100), ask('echo', 'b', 100)])).toEqual([
    { text: 'a' },
    'other',
    { text: 'b' },
  ]);
  expect(await askBack('name', '', 100)).toBe('one');
});

test('an error there is an error here', async () => {
  const [one, other] = channel();
  const ask = createCalls(one, {});
  createCalls(other, { fail: () => Promise.reject(new Error('no')) });
  await expect(ask('fail', '', 100)).rejects.toThrow('no');
});

test('no answer in time is an error', async () => {
  const [one] = channel();
  await expect(createCalls(one, {})('name', '', 20)).rejects.toThrow('no answer to name within 20 ms');
});

test('messages of others are left alone', async () => {
  const [one, other] = channel();
  const ask = createCalls(one, {});
  createCalls(other, { name: async () => 'other' });
  one.send?.({ type: 'somebody else' }, () => undefined);
  expect(await ask('name', '', 100)).toBe('other');
});
