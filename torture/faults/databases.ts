import { setTimeout as sleep } from 'node:timers/promises';
import { smallDiskAt } from '../ground.ts';
import { at, type Fault, stubbornGraceMs } from './fault.ts';

/** What can happen to servers. */
export const databaseFaults: readonly Fault[] = [
  {
    name: 'shut-down',
    of: 'database',
    async begin(ground, target) {
      await at(ground.servers, target).shutDown();
      return () => at(ground.servers, target).start();
    },
  },
  {
    name: 'kill',
    of: 'database',
    async begin(ground, target) {
      await at(ground.servers, target).kill();
      return () => at(ground.servers, target).start();
    },
  },
  {
    name: 'kill-backend',
    of: 'database',
    async begin(ground, target) {
      at(ground.servers, target).killBackend();
      return async () => undefined;
    },
  },
  {
    name: 'freeze',
    of: 'database',
    async begin(ground, target) {
      at(ground.servers, target).freeze();
      return async () => at(ground.servers, target).thaw();
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
    of: 'databases and service',
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
      at(ground.servers, target).freezePostmaster();
      return async () => at(ground.servers, target).thaw();
    },
  },
  {
    name: 'read-only',
    of: 'database',
    hits: ['write', 'new week', 'new name'],
    // Its connections end.
    edgeHits: ['read'],
    async begin(ground, target) {
      const server = at(ground.servers, target);
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
    hits: ['write', 'new week', 'new name'],
    targetOf: () => smallDiskAt,
    graceMs: stubbornGraceMs,
    async begin(ground, target) {
      const server = at(ground.servers, target);
      return (await server.fillDisk()) ? server.freeDisk : undefined;
    },
  },
  {
    name: 'too-many-connections',
    of: 'database',
    async begin(ground, target) {
      const server = at(ground.servers, target);
      const hoarders = await Promise.allSettled(Array.from({ length: 60 }, () => server.connect()));
      return async () => {
        for (const hoarder of hoarders) if (hoarder.status === 'fulfilled') await hoarder.value.end();
      };
    },
  },
  {
    name: 'role-locked-out',
    of: 'database',
    graceMs: stubbornGraceMs,
    async begin(ground, target) {
      const server = at(ground.servers, target);
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
];
