import { describe, expect, test, vi } from 'vitest';
import { isUnits, nameProblem } from '../../src/domain/summary.ts';
import { deliver, logplexFrame } from '../support/drain.ts';
import { summaryOf } from '../support/summaries.ts';
import { createTestApp, now } from '../support/test-app.ts';

/** The first and the last of each range: controls, separators of lines and paragraphs, bidirectional controls. */
const misleading: readonly (readonly [first: number, last: number])[] = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0x61c, 0x61c],
  [0x200e, 0x200f],
  [0x2028, 0x2029],
  [0x202a, 0x202e],
  [0x2066, 0x2069],
];

/** Seen by nobody if names hold it: `checkout.\u202eliaf` looks like `checkout.fail`. */
const override = '\u202e';
const name = `checkout.${override}liaf`;

test('no name and no units hold any character that makes text look other than it is, and every other one is taken', () => {
  const wrong: string[] = [];
  for (let code = 0; code <= 0x10ffff; code += 1) {
    // Halves of a pair are no characters.
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const text = `a${String.fromCodePoint(code)}b`;
    const expected = misleading.some(([first, last]) => code >= first && code <= last);
    if ((nameProblem(text) !== undefined) !== expected || isUnits(text) === expected) wrong.push(code.toString(16));
  }
  expect(wrong).toEqual([]);
});

describe('a log drain counts as broken, and stores nothing of,', () => {
  test.each([
    ['a name', `measure#${name}=1`, ''],
    ['a source', `measure#a=1 source=web${override}.1`, ''],
    ['a prefix', 'measure#a=1', `?prefix=${encodeURIComponent(`app${override}`)}`],
    ['a prefix of sources', 'measure#a=1 source=web.1', `?source-prefix=${encodeURIComponent(`app${override}`)}`],
  ])('%s with an override of the direction', async (_, line, query) => {
    const service = createTestApp();
    expect((await deliver(service, logplexFrame(line), query === '' ? {} : { query })).status).toBe(200);
    expect(service.stored()).toEqual([]);
    const [received] = service.observations.filter(({ type }) => type === 'logs_received');
    expect(received).toMatchObject({ broken: 1, brokenFirst: [{ problem: expect.stringMatching(/direction/) }] });
  });

  test('no units with one: the value is stored without', async () => {
    const service = createTestApp();
    await deliver(service, logplexFrame(`measure#a=1${override}sm`));
    expect(service.stored().map(({ units }) => units)).not.toContain(`${override}sm`);
  });
});

describe('a name that was stored before it was refused', () => {
  test.each([`/metrics`, '/metrics?format=csv', '/metrics/names'])('is read: %s', async (path) => {
    const { app, memory } = createTestApp();
    await memory.write([summaryOf({ name, bucket: now })]);
    expect(await (await app.request(path)).text()).toContain(name);
  });

  test('is deleted', async () => {
    const remove = vi.fn(async () => ({ id: '00000000-0000-0000-0000-000000000000', outcomes: [] }));
    const { app } = createTestApp({ deleter: { delete: remove } });
    const response = await app.request(`/metrics?name=${encodeURIComponent(name)}`, { method: 'DELETE' });
    expect(response.status).toBe(200);
    expect(remove).toHaveBeenCalledWith(expect.objectContaining({ name }));
  });
});
