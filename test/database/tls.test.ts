import { execFile } from 'node:child_process';
import { chmod, chown, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { DatabaseStatus } from '../../src/database/health.ts';
import type { Observation } from '../../src/domain/observation.ts';
import { findServerUser } from '../../src/embedded/server-user.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { type PostgresServer, startEmbedded } from '../support/postgres-server.ts';

const run = promisify(execFile);

let folder: string;
/** The one that the server shows now. */
let shown: string;
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

/** Makes a certificate for the key of another one that is valid only from one day to another. */
async function makeCertificateOf(name: string, key: string, address: string, days: [from: string, to: string]) {
  const [config, request, made] = ['cnf', 'csr', 'crt'].map((kind) => join(folder, `${name}.${kind}`)) as [
    string,
    string,
    string,
  ];
  const authority = [
    '[ca]',
    'default_ca=own',
    '[own]',
    `database=${join(folder, `${name}.index`)}`,
    `new_certs_dir=${folder}`,
  ];
  const rules = [
    'rand_serial=yes',
    'default_md=sha256',
    'policy=any',
    'copy_extensions=copy',
    '[any]',
    'commonName=supplied',
  ];
  await writeFile(config, [...authority, ...rules].join('\n'));
  await writeFile(join(folder, `${name}.index`), '');
  const subject = ['-subj', `/CN=m2pg test ${name}`, '-addext', `subjectAltName=IP:${address}`];
  await run('openssl', ['req', '-new', '-key', key, '-out', request, ...subject]);
  const [from, to] = days.map((day) => `${day.replaceAll('-', '')}000000Z`);
  const period = ['-startdate', from, '-enddate', to] as string[];
  const files = ['-config', config, '-keyfile', key, '-in', request, '-out', made];
  await run('openssl', ['ca', '-selfsign', '-batch', '-notext', ...files, ...period]);
  return made;
}

/** Has the server show another certificate from now on, as an operator does who renews it. */
async function show(certificate: string): Promise<void> {
  await copyFile(certificate, shown);
  await runSql(server.url, 'select pg_reload_conf()');
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'm2pg-tls-'));
  const own = await makeCertificate('own', '127.0.0.1');
  const other = await makeCertificate('other', '127.0.0.1');
  [certificate, otherCertificate, shown] = [own.certificate, other.certificate, join(folder, 'shown.crt')];
  await copyFile(certificate, shown);
  // PostgreSQL takes a key only from its own user, and where nobody else can read it.
  await chmod(folder, 0o755);
  await chmod(own.key, 0o600);
  const user = await findServerUser(join(folder, 'none'));
  if (user) await chown(own.key, user.uid, user.gid);
  server = await startEmbedded({ fsync: 'off', ssl: 'on', ssl_cert_file: shown, ssl_key_file: own.key });
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

const failsByTls = (why = '') => ({
  state: 'down',
  tls: null,
  lastFailure: { code: 'tls', message: `offers no acceptable TLS${why}` },
});

const unknownAuthority = ': its certificate is signed by no authority that we trust (sslrootcert)';

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
    expect(await statusWith(await freshDatabaseUrl(), { sslmode })).toMatchObject(failsByTls());
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
    expect(await statusWith(server.url, { sslmode })).toMatchObject(failsByTls(unknownAuthority));
  });
});

describe('from a server whose certificate is given as sslrootcert', () => {
  test.each(['require', 'verify-ca', 'verify-full'])('%s takes it as verified', async (sslmode) => {
    const parameters = { sslmode, sslrootcert: certificate };
    expect(await statusWith(server.url, parameters)).toMatchObject({ state: 'up', tls: 'verified' });
  });

  test.each(['require', 'verify-ca', 'verify-full'])('%s takes nothing when it is another one', async (sslmode) => {
    expect(await statusWith(server.url, { sslmode, sslrootcert: otherCertificate })).toMatchObject(
      failsByTls(unknownAuthority),
    );
  });

  test('verify-ca takes it as verified under a name that it is not for', async () => {
    const parameters = { sslmode: 'verify-ca', sslrootcert: certificate };
    expect(await statusWith(server.url, parameters, 'localhost')).toMatchObject({ state: 'up', tls: 'verified' });
  });

  test('verify-full takes nothing under a name that it is not for', async () => {
    const parameters = { sslmode: 'verify-full', sslrootcert: certificate };
    expect(await statusWith(server.url, parameters, 'localhost')).toMatchObject(
      failsByTls(': its certificate is for another host name'),
    );
  });
});

describe.each([
  ['that has expired', ['2020-01-01', '2020-02-01'], 'its certificate has expired'],
  ['that is not valid yet', ['2090-01-01', '2090-02-01'], 'its certificate is not valid yet, or a clock is wrong'],
] as const)('a certificate %s', (name, days, words) => {
  let wrong: string;
  let both: string;

  beforeAll(async () => {
    wrong = await makeCertificateOf(name.replaceAll(' ', '-'), join(folder, 'own.key'), '127.0.0.1', [...days]);
    both = join(folder, `${name.replaceAll(' ', '-')}-both.crt`);
    await writeFile(both, `${await readFile(certificate, 'utf8')}${await readFile(wrong, 'utf8')}`);
  });

  test.each(['verify-ca', 'verify-full'])('is told of in words with %s', async (sslmode) => {
    onTestFinished(() => show(certificate));
    await show(wrong);
    expect(await statusWith(server.url, { sslmode, sslrootcert: both })).toMatchObject(failsByTls(`: ${words}`));
  });

  test('is taken where nobody asks for its verification', async () => {
    onTestFinished(() => show(certificate));
    await show(wrong);
    expect(await statusWith(server.url, { sslmode: 'require' })).toMatchObject({ state: 'up', tls: 'unverified' });
  });

  test('that a server shows from now on is found out by the next connection, told of once, and forgotten', async () => {
    onTestFinished(() => show(certificate));
    const url = new URL(server.url);
    for (const [name, value] of Object.entries({ sslmode: 'verify-full', sslrootcert: both })) {
      url.searchParams.set(name, value);
    }
    const observations: Observation[] = [];
    const database = await freshDatabase({ url, observe: (observation) => observations.push(observation) });
    expect(database.status()).toMatchObject({ state: 'up', tls: 'verified' });
    await show(wrong);
    await expect(database.query('write', { text: 'select 1' })).rejects.toMatchObject({ code: 'tls' });
    await expect.poll(() => database.status().state, { timeout: 20_000 }).toBe('down');
    expect(database.status()).toMatchObject({ ...failsByTls(`: ${words}`), tls: 'verified' });
    await new Promise((done) => setTimeout(done, 3_000));
    expect(observations.filter(({ type }) => type === 'database_down')).toHaveLength(1);
    await show(certificate);
    await expect.poll(() => database.status().state, { timeout: 30_000 }).toBe('up');
    expect((await database.query('write', { text: 'select 1 as one' })).rows).toEqual([{ one: 1 }]);
  });
});

test('encrypts what it says to be encrypted, writes and reads included', async () => {
  const database = await freshDatabase({ url: server.url });
  for (const purpose of ['write', 'read'] as const) {
    const text = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()';
    expect((await database.query(purpose, { text })).rows).toEqual([{ ssl: true }]);
  }
});
