import { execFile } from 'node:child_process';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DatabaseStatus } from '../../src/database/health.ts';
import { findServerUser } from '../../src/embedded/server-user.ts';
import { freshDatabase, freshDatabaseUrl } from '../support/fresh-database.ts';
import { type PostgresServer, startEmbedded } from '../support/postgres-server.ts';

const run = promisify(execFile);

let folder: string;
let certificate: string;
let otherCertificate: string;
let server: PostgresServer;

/** Makes a certificate that vouches for itself and for one address. */
async function makeCertificate(name: string, address: string): Promise<{ key: string; certificate: string }> {
  const made = { key: join(folder, `${name}.key`), certificate: join(folder, `${name}.crt`) };
  const subject = ['-subj', '/CN=m2pg test', '-addext', `subjectAltName=IP:${address}`];
  const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', made.key];
  await run('openssl', ['req', '-x509', '-days', '2', ...key, '-out', made.certificate, ...subject]);
  return made;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'm2pg-tls-'));
  const own = await makeCertificate('own', '127.0.0.1');
  const other = await makeCertificate('other', '127.0.0.1');
  [certificate, otherCertificate] = [own.certificate, other.certificate];
  // PostgreSQL takes a key only from its own user, and where nobody else can read it.
  await chmod(folder, 0o755);
  await chmod(own.key, 0o600);
  const user = await findServerUser(join(folder, 'none'));
  if (user) await chown(own.key, user.uid, user.gid);
  server = await startEmbedded({ fsync: 'off', ssl: 'on', ssl_cert_file: certificate, ssl_key_file: own.key });
});

afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** What becomes of a database whose URL has these parameters. */
async function statusWith(url: URL, parameters: Record<string, string>, host = '127.0.0.1'): Promise<DatabaseStatus> {
  const asked = new URL(url);
  asked.hostname = host;
  for (const [name, value] of Object.entries(parameters)) asked.searchParams.set(name, value);
  return (await freshDatabase({ url: asked })).status();
}

const failsByTls = { state: 'down', tls: null, lastFailure: { code: 'tls', message: 'offers no acceptable TLS' } };

describe('from a server without TLS', () => {
  test.each(['disable', 'allow', 'prefer'])('%s takes a plain connection', async (sslmode) => {
    expect(await statusWith(await freshDatabaseUrl(), { sslmode })).toMatchObject({ state: 'up', tls: 'off' });
  });

  test('parameters of other drivers decide nothing', async () => {
    const parameters = { sslmode: 'prefer', ssl: 'true', uselibpqcompat: 'true' };
    expect(await statusWith(await freshDatabaseUrl(), parameters)).toMatchObject({ state: 'up', tls: 'off' });
  });

  test('a URL that names no sslmode takes a plain connection', async () => {
    expect(await statusWith(await freshDatabaseUrl(), {})).toMatchObject({ state: 'up', tls: 'off' });
  });

  test.each(['require', 'no-verify', 'verify-ca', 'verify-full'])('%s takes nothing', async (sslmode) => {
    expect(await statusWith(await freshDatabaseUrl(), { sslmode })).toMatchObject(failsByTls);
  });
});

describe('from a server with a certificate that nobody vouches for', () => {
  test.each(['disable', 'allow'])('%s takes a plain connection', async (sslmode) => {
    expect(await statusWith(server.url, { sslmode })).toMatchObject({ state: 'up', tls: 'off' });
  });

  test.each(['prefer', 'no-verify', 'require'])('%s takes TLS unverified', async (sslmode) => {
    expect(await statusWith(server.url, { sslmode })).toMatchObject({ state: 'up', tls: 'unverified' });
  });

  test('a URL that names no sslmode takes TLS unverified', async () => {
    expect(await statusWith(server.url, {})).toMatchObject({ state: 'up', tls: 'unverified' });
  });

  test.each(['verify-ca', 'verify-full'])('%s takes nothing', async (sslmode) => {
    expect(await statusWith(server.url, { sslmode })).toMatchObject(failsByTls);
  });
});

describe('from a server whose certificate is given as sslrootcert', () => {
  test.each(['require', 'verify-ca', 'verify-full'])('%s takes it as verified', async (sslmode) => {
    const parameters = { sslmode, sslrootcert: certificate };
    expect(await statusWith(server.url, parameters)).toMatchObject({ state: 'up', tls: 'verified' });
  });

  test.each(['require', 'verify-ca', 'verify-full'])('%s takes nothing when it is another one', async (sslmode) => {
    expect(await statusWith(server.url, { sslmode, sslrootcert: otherCertificate })).toMatchObject(failsByTls);
  });

  test('verify-ca takes it as verified under a name that it is not for', async () => {
    const parameters = { sslmode: 'verify-ca', sslrootcert: certificate };
    expect(await statusWith(server.url, parameters, 'localhost')).toMatchObject({ state: 'up', tls: 'verified' });
  });

  test('verify-full takes nothing under a name that it is not for', async () => {
    const parameters = { sslmode: 'verify-full', sslrootcert: certificate };
    expect(await statusWith(server.url, parameters, 'localhost')).toMatchObject(failsByTls);
  });
});

test('encrypts what it says to be encrypted, writes and reads included', async () => {
  const database = await freshDatabase({ url: server.url });
  for (const purpose of ['write', 'read'] as const) {
    const text = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()';
    expect((await database.query(purpose, { text })).rows).toEqual([{ ssl: true }]);
  }
});
