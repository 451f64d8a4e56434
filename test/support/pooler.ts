import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findServerUser } from '../../src/embedded/server-user.ts';
import { whenFinished } from './cleanup.ts';
import { eventually } from './service-process.ts';
import { findStablePort } from './stable-port.ts';

/** Debian puts it where only root looks. */
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
const binary = 'pgbouncer';

/** Whether there is a PgBouncer to test with; what is skipped without one says so. */
export const hasPooler = await promisify(execFile)(binary, ['--version'], { env }).then(
  () => true,
  () => false,
);

/** For the name of a suite: why it was skipped. */
export const whyNoPooler = hasPooler ? '' : ' (skipped: there is no pgbouncer)';

/** A PgBouncer in front of a server. */
export interface Pooler {
  /** The URL of a database, by way of it. */
  urlOf(database: URL): URL;
  /** Writes its configuration anew and has it read, as an operator does it; clients stay connected. */
  reload(settings: Readonly<Record<string, string>>): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
  log(): Promise<string>;
}

/**
 * Starts a pooler with its defaults, but for what is said here: session mode, and no startup parameter of m2pg's own is known
 * to it. It is gone when the test has finished.
 *
 * @param server Whose databases it leads to, all of them, with whatever role a client has.
 */
export async function startPooler(server: URL, settings: Readonly<Record<string, string>> = {}): Promise<Pooler> {
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-pooler-'));
  const file = join(folder, 'pgbouncer.ini');
  const port = await findStablePort();
  // It refuses to run as root.
  const user = await findServerUser(folder);
  if (user) await chown(folder, user.uid, user.gid);
  await chmod(folder, 0o755);
  await writeFile(join(folder, 'users'), `"${server.username}" "${server.password}"\n`);
  const configure = (changed: Readonly<Record<string, string>>) =>
    writeFile(
      file,
      [
        '[databases]',
        `* = host=${server.hostname} port=${server.port}`,
        '[pgbouncer]',
        ...Object.entries({
          listen_addr: '127.0.0.1',
          listen_port: String(port),
          unix_socket_dir: '',
          auth_file: join(folder, 'users'),
          logfile: join(folder, 'log'),
          ...changed,
        }).map(([name, value]) => `${name} = ${value}`),
      ].join('\n'),
    );
  await configure(settings);

  const begin = async () => {
    const child = spawn(binary, [file], { ...user, env, stdio: 'ignore' });
    await eventually(async () => {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect').finally(() => socket.destroy());
    });
    return child;
  };
  let child = await begin();
  const end = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  };
  whenFinished(async () => {
    await end();
    await rm(folder, { recursive: true, force: true });
  });

  return {
    urlOf(database) {
      const url = new URL(database);
      url.host = `127.0.0.1:${port}`;
      return url;
    },
    async reload(changed) {
      await configure({ ...settings, ...changed });
      child.kill('SIGHUP');
    },
    kill: end,
    async start() {
      child = await begin();
    },
    log: () => readFile(join(folder, 'log'), 'utf8'),
  };
}
