import type { QueryConfig } from 'pg';
import { vi } from 'vitest';
import { createNotebook, type NotesOwner } from '../../src/database/notes.ts';
import { createPresence } from '../../src/database/presence.ts';
import { Failure } from '../../src/domain/failure.ts';
import type { Store } from '../../src/domain/store.ts';
import type { Copy } from '../../src/repair/copy.ts';
import { createEquality } from '../../src/repair/equality.ts';
import { createAgreedAcks } from '../../src/store/agreed-acks.ts';
import { createRedundantStore } from '../../src/store/redundant-store.ts';
import { createMemoryStore } from './memory-store.ts';
import { createSharedNotes } from './shared-notes.ts';
import { summaryOf } from './summaries.ts';

/** Longer than a test may take. */
const never = 600_000;

/** A database in memory that several services share. */
export type SharedDatabase = ReturnType<typeof createSharedDatabase>;

/** Holds summaries and notes. */
export function createSharedDatabase(name: string) {
  const shared = {
    name,
    memory: createMemoryStore(),
    notes: createSharedNotes(),
    isDown: false,
    /** How often. */
    emptied: 0,
    empty() {
      shared.memory = createMemoryStore();
      shared.notes.empty();
      shared.emptied += 1;
    },
  };
  return shared;
}

/** A service of a fleet. */
export type FleetService = ReturnType<typeof createFleetService>;

/** One service: its notebooks, its presence and its store, as `openDatabases` and `openStore` wire them. */
export function createFleetService(acks: number, shared: readonly SharedDatabase[]) {
  const presence = createPresence();
  const cut = new Set<string>();
  const owned = shared.map((database) => {
    const notebook = createNotebook({ name: database.name, settings: { write_acks: acks }, presence });
    const owner: NotesOwner = { name: database.name, notes: notebook.latest };
    /** Whether it is connected to what is there now: else it is not used. */
    let connected: number | undefined;
    const isReached = () => !database.isDown && !cut.has(database.name);
    const isUsed = () => isReached() && connected === database.emptied;
    const whenUsed = <Value>(work: () => Promise<Value>) =>
      isUsed() ? work() : Promise.reject(new Failure('unreachable', 'cannot be reached'));
    const store: Store = {
      ...createMemoryStore(),
      write: (summaries) => whenUsed(() => database.memory.write(summaries)),
      select: (query) => whenUsed(() => database.memory.select(query)),
    };
    const look = async () => {
      const isNew = connected !== database.emptied;
      connected = isReached() ? database.emptied : undefined;
      if (isReached()) await notebook.look(database.notes.run, { isNew, readOnly: false });
    };
    return { owner, look, named: { name: database.name, store } };
  });
  const agreed = createAgreedAcks({ acks, databases: owned.map(({ owner }) => owner), presence });
  const store = createRedundantStore({
    databases: owned.map(({ named }) => named),
    acks,
    agreed,
    writeTimeoutMs: never,
    readTimeoutMs: never,
    observe: () => undefined,
  });
  return {
    agreed,
    store,
    /** Names of databases that it does not reach though they are up. */
    cut,
    look: () => Promise.all(owned.map(({ look }) => look())),
  };
}

/** Databases as repair knows them. */
export function copiesOf(shared: readonly SharedDatabase[]): Copy[] {
  return shared.map((database) => {
    const query = (_: string, { text, values }: QueryConfig) => database.notes.run(text, values);
    const isUp = () => !database.isDown;
    return { database: { name: database.name, query }, isReadable: isUp, isWritable: isUp } as unknown as Copy;
  });
}

/** The process that repairs, which reaches every database that is up. */
function createFleetRepair(shared: readonly SharedDatabase[]) {
  const copies = copiesOf(shared);
  const equality = createEquality({ copies, observe: () => undefined });
  const slice = { from: 0, until: 3_600 };
  /** One pass; one that only looks copies nothing. */
  return async (kind: 'copies' | 'looks') => {
    const up = shared.filter(({ isDown }) => !isDown);
    await equality.begin(copies.filter((copy) => copy.isReadable()));
    const all = new Map(up.flatMap(({ memory }) => [...memory.summaries]));
    const isSame = up.every(({ memory }) => memory.summaries.size === all.size);
    equality.looked(isSame ? [] : [slice]);
    if (!isSame && kind === 'copies') {
      for (const { memory } of up) await memory.write([...all.values()]);
      equality.mended(slice);
    }
    await equality.end();
  };
}

/** Some databases and the services that come and go on them. Time is that of fake timers. */
export function createFleet(count: number) {
  const databases = Array.from({ length: count }, (_, index) => createSharedDatabase(`db${index + 1}`));
  const repairPass = createFleetRepair(databases);
  const services: FleetService[] = [];
  const acknowledged: string[] = [];
  return {
    databases,
    services,
    /** The ids of what was. */
    acknowledged,
    /** Lets services look every second, and repair every three. */
    async pass(seconds: number, repairs: 'copies' | 'looks' | 'not' = 'not') {
      for (let second = 0; second < seconds; second += 1) {
        vi.advanceTimersByTime(1_000);
        await Promise.all(services.map((service) => service.look()));
        if (repairs !== 'not' && second % 3 === 0) await repairPass(repairs);
      }
    },
    async start(acks: number) {
      const service = createFleetService(acks, databases);
      await service.look();
      services.push(service);
      return service;
    },
    stop: (service: FleetService) => void services.splice(services.indexOf(service), 1),
    async write({ store }: FleetService) {
      const summary = summaryOf();
      await store.write([summary]).then(
        () => acknowledged.push(summary.id),
        () => undefined,
      );
    },
    /** Takes the databases of these places down, and all others up. */
    takeDown(...places: number[]) {
      databases.forEach((database, index) => {
        database.isDown = places.includes(index + 1);
      });
    },
  };
}
