import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chown, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { findServerUser } from '../src/embedded/server-user.ts';
import { findStablePort } from '../test/support/stable-port.ts';

const run = promisify(execFile);

const program = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer', '/usr/local/bin/pgbouncer'].find((path) =>
  existsSync(path),
);

const startTimeoutMs = 10_000;

/** PgBouncer before a server: sessions are those of the server. Always on the same port. */
export interface Pooler {
  /** Of the server, by way of the pooler. */
  readonly url: URL;
  /** All of its connections end without a word. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

/** Undefined where PgBouncer is installed. */
export function poolerMissing(): string | undefined {
  return program ? undefined : 'PgBouncer is not installed';
}

/**
 * Starts one.
 *
 * @param folder For its configuration and its log.
 */
export async function startPooler(folder: string, name: string, target: URL): Promise<Pooler> {
  const port = await findStablePort();
  const file = join(folder, `${name}.ini`);
  await writeFile(file, configurationOf(target, port), { mode: 0o600 });
  // It refuses to run as root, as the servers do.
  const user = await findServerUser(file);
  if (user) await chown(file, user.uid, user.gid);
  const url = new URL(target);
  url.port = String(port);
  let child: ChildProcess | undefined;
  const pooler: Pooler = {
    url,
    async kill() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    },
    async start() {
      const started = spawn(program ?? 'pgbouncer', ['--quiet', file], { ...user, stdio: 'ignore' });
      child = started;
      const deadlineMs = performance.now() + startTimeoutMs;
      while (!(await isListening(port))) {
        if (started.exitCode !== null || performance.now() > deadlineMs) {
          // Without --quiet it says why.
          const { stderr } = await run(program ?? 'pgbouncer', [file], { ...user, timeout: 1_000 }).catch(
            (error) => error,
          );
          throw new Error(`PgBouncer did not start: ${stderr}`);
        }
        await sleep(20);
      }
    },
  };
  await pooler.start();
  return pooler;
}

/** As its documentation has it for session pooling, without limits that the experiment would meet. */
function configurationOf(target: URL, port: number): string {
  const password = decodeURIComponent(target.password);
  const server = `host=${target.hostname} port=${target.port} user=${target.username} password=${password}`;
  return `
[databases]
${target.pathname.slice(1)} = ${server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = session
server_reset_query = DISCARD ALL
max_client_conn = 500
default_pool_size = 200
server_login_retry = 1
server_connect_timeout = 5
ignore_startup_parameters = extra_float_digits, options, statement_timeout, idle_in_transaction_session_timeout
`;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
