import { randomUUID } from 'node:crypto';
import type { Run } from '../../src/database/deletions.ts';
import { Failure } from '../../src/domain/failure.ts';

/** The tables in which services note their settings, in memory; `agreed-acks.test.ts` holds them against the real ones. */
export interface SharedNotes {
  /** Answers the statements of notes and rounds. */
  readonly run: Run;
  /** As when the database was emptied. */
  empty(): void;
  /** The numbers of WRITE_ACKS that are noted, ascending. */
  numbers(): number[];
}

/** Time is that of `performance.now()`. */
export function createSharedNotes(): SharedNotes {
  let settings = new Map<string, { setting: string; value: number; usedAtMs: number }>();
  let round = { round: 0, id: null as unknown, previous: null as unknown, made: randomUUID() };

  const use = (setting: string, value: number, isKept = false) => {
    if (isKept && settings.has(`${setting} ${value}`)) return;
    settings.set(`${setting} ${value}`, { setting, value, usedAtMs: performance.now() });
  };
  const usedAt = ({ usedAtMs }: { usedAtMs: number }) => String(Math.round(usedAtMs * 1000));

  const read = () => {
    const now = performance.now();
    const noted = [...settings.values()].map((one) => ({
      ...round,
      weeksHeldBack: 0,
      setting: one.setting,
      value: one.value,
      usedAt: usedAt(one),
      ageSeconds: (now - one.usedAtMs) / 1000,
    }));
    return noted.length > 0 ? noted : [{ ...round, weeksHeldBack: 0, setting: null }];
  };

  const statements: readonly (readonly [RegExp, (values: readonly unknown[]) => Record<string, unknown>[]])[] = [
    [/from equal_rounds/, read],
    [
      /use_settings/,
      ([names, values]) => {
        (names as string[]).forEach((name, index) => {
          use(name, (values as number[])[index] as number);
        });
        return [];
      },
    ],
    [
      /insert into settings_in_use/,
      ([values]) => {
        for (const value of values as number[]) use('write_acks', value, true);
        return [];
      },
    ],
    [
      /delete from settings_in_use/,
      ([value, at]) => {
        const found = settings.get(`write_acks ${value}`);
        if (found && usedAt(found) === at) settings.delete(`write_acks ${value}`);
        return [];
      },
    ],
    [
      /update equal_rounds/,
      ([next, id, previous, made, last]) => {
        if (round.made === made && round.round === last) round = { ...round, round: next as number, id, previous };
        return [];
      },
    ],
  ];

  return {
    async run(text, values = []) {
      const [, answer] = statements.find(([pattern]) => pattern.test(text)) ?? [];
      if (answer === undefined) throw new Failure('unknown', `no answer to ${text}`);
      return { rows: answer(values) };
    },
    empty() {
      settings = new Map();
      round = { round: 0, id: null, previous: null, made: randomUUID() };
    },
    numbers: () => [...settings.values()].map(({ value }) => value).toSorted((a, b) => a - b),
  };
}
