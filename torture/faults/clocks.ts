/**
 * Clocks that are wrong, by seconds to more than a year, in either direction: one at a time, of a service or of a database. None of
 * them may lose what was acknowledged or bring back what was deleted. A service refuses buckets that are an hour ahead of its own
 * clock or past its RETENTION; nothing else is refused.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, clockSettlesMs, clocksMissing } from '../clock.ts';
import type { Ground } from '../ground.ts';
import type { Random } from '../random.ts';
import { at, type Fault, type Heal } from './fault.ts';

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

const largeJumps = [day, 200 * day, 400 * day];
const jumps = [2, 90, 40 * minute, 3 * hour, ...largeJumps];

/** Seconds that are gained or lost in one. */
const drifts = [0.5, 5, minute, 20 * minute];
const driftEveryMs = 500;

const missing = clocksMissing;
const eitherWay = (list: readonly number[], random: Random) => random.pick(list) * random.pick([-1, 1]);

async function jump(clock: Clock | undefined, random: Random, list = jumps): Promise<Heal | undefined> {
  if (!clock) return undefined;
  const seconds = eitherWay(list, random);
  await clock.set(seconds);
  return Object.assign(() => clock.set(0), { detail: `by ${seconds} s` });
}

async function drift(clock: Clock | undefined, random: Random): Promise<Heal | undefined> {
  if (!clock) return undefined;
  const rate = eitherWay(drifts, random);
  const stopping = new AbortController();
  const run = async () => {
    for (let seconds = 0; !stopping.signal.aborted; seconds += (rate * driftEveryMs) / 1_000) {
      await clock.set(seconds);
      await sleep(driftEveryMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };
  const running = run();
  const heal = async () => {
    stopping.abort();
    await running;
    await clock.set(0);
  };
  return Object.assign(heal, { detail: `by ${rate} s a second` });
}

/** A server counts the time of statements by its clock: those that are under way when it jumps may end. */
const ofDatabase = { of: 'database', hits: [], edgeHits: ['read'], isOfClock: true, missing } as const;
const ofService = { of: 'service', hits: [], isOfClock: true, missing } as const;

/** What can happen to clocks. */
export const clockFaults: readonly Fault[] = [
  {
    name: 'database-clock-jumps',
    ...ofDatabase,
    begin: (ground, target, random) => jump(at(ground.servers, target).clock, random),
  },
  {
    name: 'database-clock-drifts',
    ...ofDatabase,
    begin: (ground, target, random) => drift(at(ground.servers, target).clock, random),
  },
  {
    name: 'service-clock-jumps',
    ...ofService,
    begin: (ground, target, random) => jump(at(ground.services, target).clock, random),
  },
  {
    name: 'service-clock-drifts',
    ...ofService,
    begin: (ground, target, random) => drift(at(ground.services, target).clock, random),
  },
  {
    // What a service does at its start, it does by that clock.
    name: 'service-started-with-wrong-clock',
    of: 'service',
    isOfClock: true,
    needsClocks: true,
    // It may drop what is past it.
    targetOf: ({ services }) => [...services.keys()].find((index) => services[index]?.retention !== undefined),
    missing,
    async begin(ground, target, random) {
      const service = at(ground.services, target);
      await service.end('SIGTERM');
      const heal = await jump(service.clock, random, largeJumps);
      await ground.startService(target);
      return heal;
    },
  },
  {
    name: 'services-killed-while-ahead',
    of: 'everything',
    needsClocks: true,
    missing,
    begin: killAhead,
  },
];

/** As long as whoever looks after the databases needs to note that he does. */
const notedWithinMs = 5_000;

/**
 * The clock of a database is ahead while services note in it who looks after the databases; then all of them are gone, and it
 * is right again. One database lacks something by then.
 */
async function killAhead(ground: Ground, target: number, random: Random): Promise<Heal | undefined> {
  const { servers, services, links } = ground;
  const { clock } = at(servers, await whoDecides(ground, target));
  if (!clock) return undefined;
  const lacking = links.map((ofService) => at(ofService, random.below(servers.length)));
  await clock.set(hour);
  await sleep(clockSettlesMs);
  await Promise.all(lacking.map((link) => link.set('refuse')));
  await sleep(notedWithinMs);
  await Promise.all(services.map((service) => service.end('SIGKILL')));
  await Promise.all(lacking.map((link) => link.set('pass')));
  await clock.set(0);
  await sleep(clockSettlesMs);
  return async () => void (await Promise.all(services.map((_, index) => ground.startService(index))));
}

/** The one with the least identity; any, where they are not known. */
async function whoDecides({ servers }: Ground, otherwise: number): Promise<number> {
  const identities = await Promise.all(
    servers.map((server) => server.run('select id from database_identity').then(([row]) => String(row?.id))),
  ).catch((): string[] => []);
  const [least] = identities.toSorted();
  return least === undefined ? otherwise : identities.indexOf(least);
}
