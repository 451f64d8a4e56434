/**
 * What can happen to databases, to the network and to services; each is begun, lasts, and is healed.
 *
 * With WRITE_ACKS=1 a summary may for a moment be in one database only, and what destroys the data of a database would
 * lose it by the hand of the experiment. So those faults are for WRITE_ACKS=2, alone, and only while the databases are equal:
 * then every acknowledged summary is in another database too.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Ground, smallDiskAt } from './ground.ts';
import type { Random } from './random.ts';

/** Undoes a fault. */
export type Heal = () => Promise<void>;

export interface Fault {
  readonly name: string;
  readonly of: 'database' | 'link' | 'databases' | 'service';
  /** Data is lost: see above. */
  readonly isDestructive?: boolean;
  /** The only one that it can happen to. */
  readonly target?: number;
  /**
   * @param target Index of the database or service.
   * @returns Undefined: it cannot happen here.
   */
  begin(ground: Ground, target: number, random: Random): Promise<Heal | undefined>;
}

const serverOf = ({ servers }: Ground, target: number) => {
  const server = servers[target];
  if (!server) throw new Error(`BUG: no server ${target}`);
  return server;
};

const linksTo = ({ links }: Ground, target: number) =>
  links.map((ofService) => ofService[target]).filter((link) => link !== undefined);

const onLinks =
  (
    begin: (link: ReturnType<typeof linksTo>[number]) => unknown,
    heal: (link: ReturnType<typeof linksTo>[number]) => unknown,
  ) =>
  async (ground: Ground, target: number): Promise<Heal> => {
    await Promise.all(linksTo(ground, target).map(begin));
    return async () => void (await Promise.all(linksTo(ground, target).map(heal)));
  };

const again = (everyMs: number, act: () => unknown): (() => void) => {
  const timer = setInterval(act, everyMs);
  return () => clearInterval(timer);
};

export const faults: readonly Fault[] = [
  {
    name: 'shut-down',
    of: 'database',
    async begin(ground, target) {
      await serverOf(ground, target).shutDown();
      return () => serverOf(ground, target).start();
    },
  },
  {
    name: 'kill',
    of: 'database',
    async begin(ground, target) {
      await serverOf(ground, target).kill();
      return () => serverOf(ground, target).start();
    },
  },
  {
    name: 'kill-backend',
    of: 'database',
    async begin(ground, target) {
      serverOf(ground, target).killBackend();
      return async () => undefined;
    },
  },
  {
    name: 'freeze',
    of: 'database',
    async begin(ground, target) {
      serverOf(ground, target).freeze();
      return async () => serverOf(ground, target).thaw();
    },
  },
  {
    name: 'freeze-all',
    of: 'databases',
    async begin({ servers }) {
      for (const server of servers) server.freeze();
      return async () => {
        for (const server of servers) server.thaw();
      };
    },
  },
  {
    name: 'service-killed-while-frozen',
    of: 'databases',
    async begin({ servers, services, startService }, target) {
      for (const server of servers) server.freeze();
      await sleep(1_000);
      await services[target]?.end('SIGKILL');
      for (const server of servers) server.thaw();
      return () => startService(target);
    },
  },
  {
    name: 'freeze-postmaster',
    of: 'database',
    async begin(ground, target) {
      serverOf(ground, target).freezePostmaster();
      return async () => serverOf(ground, target).thaw();
    },
  },
  {
    name: 'black-hole',
    of: 'link',
    begin: onLinks(
      (link) => link.set('black_hole'),
      (link) => link.set('pass'),
    ),
  },
  {
    name: 'refuse',
    of: 'link',
    begin: onLinks(
      (link) => link.set('refuse'),
      (link) => link.set('pass'),
    ),
  },
  {
    name: 'forget',
    of: 'link',
    begin: onLinks(
      (link) => link.forget(),
      () => undefined,
    ),
  },
  {
    name: 'slow',
    of: 'link',
    begin: onLinks(
      (link) => link.delay(500),
      (link) => link.delay(0),
    ),
  },
  {
    name: 'throttle',
    of: 'link',
    begin: onLinks(
      (link) => link.throttle(64 * 1_024),
      (link) => link.throttle(Number.POSITIVE_INFINITY),
    ),
  },
  {
    name: 'tear',
    of: 'link',
    begin: onLinks(
      (link) => link.tear(60),
      (link) => link.tear(Number.POSITIVE_INFINITY),
    ),
  },
  {
    name: 'rst-storm',
    of: 'link',
    async begin(ground, target) {
      const stop = again(150, () => linksTo(ground, target).map((link) => link.cut()));
      return async () => stop();
    },
  },
  {
    name: 'flap',
    of: 'link',
    async begin(ground, target) {
      let isUp = false;
      const stop = again(400, () => {
        isUp = !isUp;
        for (const link of linksTo(ground, target)) void link.set(isUp ? 'pass' : 'refuse');
      });
      return async () => {
        stop();
        await sleep(50);
        await Promise.all(linksTo(ground, target).map((link) => link.set('pass')));
      };
    },
  },
  {
    name: 'partition',
    of: 'link',
    async begin(ground, target, random) {
      const link = random.pick(linksTo(ground, target));
      await link.set('black_hole');
      return () => link.set('pass');
    },
  },
  {
    name: 'read-only',
    of: 'database',
    async begin(ground, target) {
      const server = serverOf(ground, target);
      const set = async (value: string) => {
        await server.run(`alter system set default_transaction_read_only = ${value}`);
        await server.run('select pg_reload_conf()');
        await server.run(
          'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and backend_type = $1',
          ['client backend'],
        );
      };
      await set('on');
      return () => set('off');
    },
  },
  {
    name: 'disk-full',
    of: 'database',
    target: smallDiskAt,
    async begin(ground, target) {
      const server = serverOf(ground, target);
      return (await server.fillDisk()) ? server.freeDisk : undefined;
    },
  },
  {
    name: 'too-many-connections',
    of: 'database',
    async begin(ground, target) {
      const server = serverOf(ground, target);
      const hoarders = await Promise.allSettled(Array.from({ length: 60 }, () => server.connect()));
      return async () => {
        for (const hoarder of hoarders) if (hoarder.status === 'fulfilled') await hoarder.value.end();
      };
    },
  },
  {
    name: 'role-locked-out',
    of: 'database',
    async begin(ground, target) {
      const server = serverOf(ground, target);
      const keeper = await server.connect();
      const password = decodeURIComponent(server.url.password);
      await keeper.query(`alter role m2pg password 'another'`);
      await keeper.query(
        'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and backend_type = $1',
        ['client backend'],
      );
      return async () => {
        await keeper.query(`alter role m2pg password '${password}'`);
        await keeper.end();
      };
    },
  },
  {
    name: 'drop-tables',
    of: 'database',
    isDestructive: true,
    async begin(ground, target) {
      await serverOf(ground, target).run('drop table summaries, series cascade');
      return async () => undefined;
    },
  },
  {
    name: 'emptied',
    of: 'database',
    isDestructive: true,
    async begin(ground, target) {
      const server = serverOf(ground, target);
      await server.kill();
      await server.empty();
      await server.start();
      return async () => undefined;
    },
  },
  {
    name: 'service-killed',
    of: 'service',
    async begin(ground, target) {
      await ground.services[target]?.end('SIGKILL');
      return () => ground.startService(target);
    },
  },
  {
    name: 'service-stopped',
    of: 'service',
    async begin(ground, target) {
      await ground.services[target]?.end('SIGTERM');
      return () => ground.startService(target);
    },
  },
];

/** Those of some names; all that may happen when no names are given. */
export function faultsFor(writeAcks: number, names: readonly string[] | undefined): Fault[] {
  return faults.filter(({ name, isDestructive }) => (names ? names.includes(name) : !isDestructive || writeAcks > 1));
}
