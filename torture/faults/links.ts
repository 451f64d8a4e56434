import { setTimeout as sleep } from 'node:timers/promises';
import type { TcpLink } from '../../test/support/tcp-link.ts';
import type { Ground } from '../ground.ts';
import type { Fault, Heal } from './fault.ts';

const linksTo = ({ links }: Ground, target: number) =>
  links.map((ofService) => ofService[target]).filter((link) => link !== undefined);

const onLinks =
  (begin: (link: TcpLink) => unknown, heal: (link: TcpLink) => unknown) =>
  async (ground: Ground, target: number): Promise<Heal> => {
    await Promise.all(linksTo(ground, target).map(begin));
    return async () => void (await Promise.all(linksTo(ground, target).map(heal)));
  };

const again = (everyMs: number, act: () => unknown): (() => void) => {
  const timer = setInterval(act, everyMs);
  return () => clearInterval(timer);
};

/** What can happen to the network between services and databases. */
export const linkFaults: readonly Fault[] = [
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
];
