import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { linesOf } from '../../../src/http/receivers/logs/syslog-frames.ts';
import { counted, logplexFrame, shuttleFrame } from '../../support/drain.ts';

const messagesOf = (body: string) =>
  [...linesOf(Buffer.from(body))].map((line) => ('problem' in line ? `! ${line.problem}` : line.message.trimEnd()));

const head = '<174>1 2012-12-11T05:12:10+00:00 host app web.1';

describe('the frames of a drain', () => {
  test('are found as logplex and log-shuttle send them, one after another', () => {
    expect(messagesOf(logplexFrame('a=1') + logplexFrame('b=2'))).toEqual(['a=1', 'b=2']);
    expect(messagesOf(shuttleFrame('a=1') + shuttleFrame('b=2'))).toEqual(['a=1', 'b=2']);
    expect(messagesOf(logplexFrame('ünï ✓ 1\n2') + shuttleFrame('b=2'))).toEqual(['ünï ✓ 1\n2', 'b=2']);
  });

  test('of l2met itself, without a newline', () => {
    const body = '70 <174>1 2013-07-22T00:06:26-00:00 somehost name test - measure.hello=1\\n';
    expect([...linesOf(Buffer.from(body))]).toEqual([
      { time: '2013-07-22T00:06:26-00:00', procid: 'test', message: 'measure.hello=1\\' },
      expect.objectContaining({ problem: expect.any(String) }),
    ]);
  });

  test('are found a line each without lengths, with the last line ended or not', () => {
    expect(messagesOf(`${head} - a=1\n${head} - - b=2\r\n\n${head} - c=3`)).toEqual(['a=1', 'b=2', 'c=3']);
  });

  test.each([
    ['[ex@32473 iut="3" eventID="1011"] a=1', 'a=1'],
    ['[ex@32473 iut="3"][prio@1 class="high ] \\" \\] x"] a=1', 'a=1'],
    ['[timeQuality] a=1', 'a=1'],
    ['- a=1', 'a=1'],
    ['-', ''],
    ['[web 1] a=1', '[web 1] a=1'],
    ['[measure#a=1] b=2', '[measure#a=1] b=2'],
    ['', ''],
    ['- \uFEFFmeasure#a=1', 'measure#a=1'],
  ])('have structured data or none: %s', (rest, message) => {
    expect(messagesOf(counted(`${head} ID47 ${rest}`))).toEqual([message]);
  });

  test.each(['', '\n', '\r\n', ' \n', ' -\n', ' - \n'])('may have an empty message: %j', (rest) => {
    expect(messagesOf(counted(`${head} -${rest}`))).toEqual(['']);
    expect(messagesOf(`${head} -${rest}`)).toEqual(['']);
  });

  test('tell their time and process', () => {
    const [line] = linesOf(Buffer.from(logplexFrame('x', { procid: 'router', time: 'whenever' })));
    expect(line).toMatchObject({ time: 'whenever', procid: 'router' });
  });

  test.each<[string, string[]]>([
    ['garbage\n', ['! is neither a length nor a frame of syslog']],
    ['12 garbage', ['! is neither a length nor a frame of syslog']],
    ['99999999999999999999 <1>1 a b c d e f', ['! is neither a length nor a frame of syslog']],
    [counted('<174>1 no header'), ['! has no header of syslog']],
    [logplexFrame('a=1').slice(0, -3), ['! ends after 94 of 97 octets']],
  ])('that are broken are told apart: %j', (body, expected) => {
    expect(messagesOf(body)).toEqual(expected);
  });

  test('that are broken do not take the others along', () => {
    const good = logplexFrame('a=1');
    expect(messagesOf(`${good}9999 <174>1 x\n${good}${good}`)).toEqual([
      'a=1',
      '! has a wrong length: no frame ends after 9999 octets',
      'a=1',
      'a=1',
    ]);
    expect(messagesOf(`${good}garbage\n${good}${counted('<174>1 x')}${good}`)).toEqual([
      'a=1',
      '! is neither a length nor a frame of syslog',
      'a=1',
      '! has no header of syslog',
      'a=1',
    ]);
  });

  /** A frame as a sender would send it whose length is wrong by so much. */
  const wrong = (frame: string, by: number) => frame.replace(/^\d+/, (length) => String(Number(length) + by));

  test.each<[string, string, number]>([
    ['one octet short', counted(`${head} - - measure#a=1234`), -1],
    ['two octets short', counted(`${head} - - measure#a=1234`), -2],
    ['three octets short, before a newline', counted(`${head} - - measure#a=1234\n`), -3],
    ['in characters, not octets', counted(`${head} - - measure#ä=1234\n`), -2],
    ['one octet too long', counted(`${head} - - measure#a=1234`), 1],
    ['one octet too long, after a newline', counted(`${head} - - measure#a=1234\n`), 1],
    ['120 octets too long', counted(`${head} - - measure#a=1234\n`), 120],
    ['as long as a neighbour too long', counted(`${head} - - a=1\n`), counted(`${head} - - a=1\n`).length],
    ['longer than the body', counted(`${head} - - measure#a=1234\n`), 9_999],
  ])('with a length that is %s cost no neighbour, and no value is cut', (_, frame, by) => {
    const good = counted(`${head} - - a=1${frame.endsWith('\n') ? '\n' : ''}`);
    const found = messagesOf(`${good}${wrong(frame, by)}${good.repeat(6)}`);
    expect(found).toEqual(['a=1', expect.stringMatching(/^! has a wrong length/), ...Array(6).fill('a=1')]);
  });

  test('are found whatever one of their lengths is, and none is changed', () => {
    const messages = fc.array(
      fc.oneof(
        fc.nat(99_999).map((value) => `measure#a=${value}`),
        fc.string({ unit: 'grapheme', maxLength: 12 }).map((text) => `ü ${text.replaceAll(/[\p{Cc}\d<]/gu, '')}`),
      ),
      { minLength: 1, maxLength: 8 },
    );
    // Without a line end, the digits of a length may as well belong to the frame before it.
    const end = fc.constantFrom('\n', '\r\n');
    fc.assert(
      fc.property(messages, end, fc.nat(7), fc.integer({ min: -40, max: 300 }), (said, lineEnd, place, by) => {
        const at = place % said.length;
        const frames = said.map((message) => counted(`${head} - - ${message}${lineEnd}`));
        const body = frames.map((frame, index) => (index === at ? wrong(frame, by) : frame)).join('');
        const found = messagesOf(body).filter((message) => !message.startsWith('!'));
        // The wrong one may be there, too, when its length leaves out nothing but white space.
        const all = said.map((message) => `${message}${lineEnd}`.trimEnd());
        expect([all.toSpliced(at, 1), all]).toContainEqual(found);
      }),
      { numRuns: 2_000 },
    );
  });

  test('that are all broken are searched through once, not again for each', () => {
    const bodies = ['9 <1>x\n', '99999999 <1>', '11 <1>', `60000 <1>${' '.repeat(9)}`, '8 <1>1 <1>'];
    for (const piece of bodies) {
      const body = Buffer.from(piece.repeat(4_000_000 / piece.length));
      const begun = performance.now();
      for (const _ of linesOf(body));
      expect(performance.now() - begun).toBeLessThan(15_000);
    }
  });

  test('are read to the end, whatever the bytes are', () => {
    const piece = fc.oneof(
      fc.constantFrom('<', '>', '1', ' ', '-', '\n', '[', ']', '"', '\\', '=', head, logplexFrame('a=1')),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        for (const line of linesOf(Buffer.from(pieces.join('')))) expect(line).toBeDefined();
      }),
    );
  });
});
