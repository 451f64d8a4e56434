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
      expect.stringMatching(/^! ends after/),
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
    // A length that is too short leaves a rest.
    expect(messagesOf(`${good.replace(/^\d+/, (length) => String(Number(length) - 2))}${good}`)).toHaveLength(3);
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
