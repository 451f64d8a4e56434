import { olderVersionMissing } from '../older-version.ts';
import { at, type Fault } from './fault.ts';

/** What can happen to services. */
export const serviceFaults: readonly Fault[] = [
  {
    name: 'service-killed',
    of: 'service',
    async begin(ground, target) {
      await at(ground.services, target).end('SIGKILL');
      return () => ground.startService(target);
    },
  },
  {
    name: 'service-stopped',
    of: 'service',
    async begin(ground, target) {
      await at(ground.services, target).end('SIGTERM');
      return () => ground.startService(target);
    },
  },
  {
    // It is not held to what it promises itself, only to do no harm. By a clock that is wrong it did.
    name: 'older-version',
    of: 'service',
    needsClocks: true,
    targetOf: ({ olderAt }) => olderAt,
    missing: olderVersionMissing,
    async begin(ground, target) {
      const service = at(ground.services, target);
      if (!ground.isOlder(target)) {
        await service.end('SIGTERM');
        await ground.startOlderService(target);
      }
      return async () => {
        await service.end('SIGTERM');
        await ground.startService(target);
      };
    },
  },
];
