import { expect, test } from 'vitest';
import { type ConfigError, readConfig } from '../src/config.ts';

const secret = '0123456789abcdefCANARY';

test('TOKENS lists scopes and secrets, several of one scope for rotation; READ_TOKEN and its like add one each', () => {
  const { tokens } = readConfig({
    TOKENS: `write:${secret}1, write:${secret}2,admin:a/b+c=.~_-0123456789`,
    READ_TOKEN: `${secret}3`,
  });
  expect(tokens).toEqual([
    { scope: 'write', secret: `${secret}1` },
    { scope: 'write', secret: `${secret}2` },
    { scope: 'admin', secret: 'a/b+c=.~_-0123456789' },
    { scope: 'read', secret: `${secret}3` },
  ]);
});

test.each([
  [{ TOKENS: secret }, 'TOKENS: token 1 has no scope'],
  [{ TOKENS: `write:${secret},root:${secret}` }, 'TOKENS: token 2 has no scope'],
  [{ TOKENS: `write:${secret},` }, 'TOKENS: token 2 has no scope'],
  [{ TOKENS: 'write:CANARY' }, 'TOKENS: token 1, to write, is not 16 to 256'],
  [{ TOKENS: `read:${secret} with blanks` }, 'TOKENS: token 1, to read, is not 16 to 256'],
  [{ ADMIN_TOKEN: 'CANARY' }, 'ADMIN_TOKEN: expected a token of 16 to 256'],
])('%j is refused, and nothing of a token is shown', (environment, message) => {
  try {
    readConfig(environment);
    expect.unreachable();
  } catch (error) {
    const { problems } = error as ConfigError;
    expect(problems).toEqual([expect.stringContaining(message)]);
    expect(problems.join()).not.toContain('CANARY');
  }
});
