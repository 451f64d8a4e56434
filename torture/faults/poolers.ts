import { poolerAt } from '../ground.ts';
import { poolerMissing } from '../pooler.ts';
import type { Fault } from './fault.ts';

/** What can happen to a pooler between a service and a database. */
export const poolerFaults: readonly Fault[] = [
  {
    name: 'pooler-killed',
    of: 'link',
    condition: 'pooler',
    targetOf: () => poolerAt.database,
    missing: poolerMissing,
    async begin({ pooler }) {
      await pooler?.kill();
      return pooler?.start;
    },
  },
];
