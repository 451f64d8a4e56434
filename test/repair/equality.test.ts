import { expect, test } from 'vitest';
import { noteSettings, readNotes } from '../../src/database/notes.ts';
import { createEquality, type EqualityOptions } from '../../src/repair/equality.ts';
import { createRepair } from '../../src/repair/repair-pass.ts';
import { type Copies, prepareCopies } from '../support/copies.ts';
import { copiesOf, createSharedDatabase } from '../support/fleet.ts';
import { runSql } from '../support/fresh-database.ts';
import { eventually } from '../support/service-process.ts';
import { summaryOf } from '../support/summaries.ts';

const slice = { from: 0, until: 3_600 };
const other = { from: 7_200, until: 10_800 };

function prepare(count = 2, options: Partial<EqualityOptions> = {}) {
  const databases = Array.from({ length: count }, (_, index) => createSharedDatabase(`db${index + 1}`));
  const copies = copiesOf(databases);
  const equality = createEquality({ copies, observe: () => undefined, unusedMs: 0, ...options });
  const rounds = async () => {
    const notes = await Promise.all(databases.map((database) => readNotes(database.notes.run)));
    return notes.map(({ round }) => round);
  };
  return { databases, copies, equality, rounds };
}

test('a round is over when what differed at its begin was found equal or copied, whatever differs by then', async () => {
  const { copies, equality, rounds } = prepare();
  const pass = async (differing: readonly (typeof slice)[], mended: readonly (typeof slice)[] = []) => {
    await equality.begin(copies);
    equality.looked(differing);
    mended.forEach(equality.mended);
    await equality.end();
    return rounds();
  };
  expect(await pass([slice, other])).toEqual([0, 0]);
  expect(await pass([slice])).toEqual([0, 0]);
  // Part of it.
  expect(await pass([slice], [{ from: 0, until: 60 }])).toEqual([0, 0]);
  expect(await pass([slice, other], [{ from: 0, until: 7_200 }])).toEqual([1, 1]);
});

test('nothing is noted while one of the databases is not looked at', async () => {
  const { copies, equality, rounds } = prepare(3);
  await equality.begin(copies.slice(0, 2));
  equality.looked([]);
  await equality.end();
  expect(await rounds()).toEqual([0, 0, 0]);
});

test('a database that is emptied in the midst of a round is not taken for equal', async () => {
  const { databases, copies, equality, rounds } = prepare();
  await equality.begin(copies);
  equality.looked([slice]);
  await equality.end();
  databases[1]?.empty();
  // Everything that differed then is equal now, but for what it has lost.
  await equality.begin(copies);
  equality.looked([other]);
  await equality.end();
  expect(await rounds()).toEqual([0, 0]);
  await equality.begin(copies);
  equality.looked([]);
  databases[1]?.empty();
  await equality.end();
  expect(await rounds()).toEqual([1, 0]);
});

test('a number that a service begins to use again is not taken away, and neither is the highest', async () => {
  const { databases, copies, equality } = prepare();
  const note = (acks: number) =>
    Promise.all(databases.map(({ notes }) => noteSettings(notes.run, { write_acks: acks })));
  const pass = async (during: () => Promise<unknown>) => {
    await equality.begin(copies);
    equality.looked([]);
    await during();
    await equality.end();
    return databases.map(({ notes }) => notes.numbers());
  };
  await note(1);
  await note(2);
  const nothing = async () => undefined;
  const again = async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    await note(1);
  };
  expect(await pass(again)).toEqual([
    [1, 2],
    [1, 2],
  ]);
  expect(await pass(nothing)).toEqual([[2], [2]]);
  expect(await pass(nothing)).toEqual([[2], [2]]);
});

const rowsOf = async ({ urls }: Copies) => {
  const text = `select round::int, id, previous,
    array(select value::int from settings_in_use where setting = 'write_acks' order by 1) as acks from equal_rounds`;
  return (await Promise.all(urls.map((url) => runSql(url, text)))).flat();
};

test('all databases note a round of repair, get the numbers that they lack and forget the one that is unused', async () => {
  const all = await prepareCopies(3);
  const { copies, databases, observe } = all;
  const equality = createEquality({ copies, observe, unusedMs: 200 });
  const repair = createRepair({
    copies,
    equality,
    retentionSeconds: undefined,
    now: () => Date.now() / 1000,
    observe,
    restMs: 50,
  });
  await runSql(all.urls[0] as URL, "select use_settings('{write_acks}', '{1}')");
  await runSql(all.urls[1] as URL, "select use_settings('{write_acks}', '{2}')");
  await copies[2]?.store.write([summaryOf(), summaryOf({ bucket: Date.now() / 1000 - 86_400 })]);
  await repair.pass();
  expect((await rowsOf(all)).map(({ round }) => round)).toEqual([0, 0, 0]);
  await eventually(async () => {
    await repair.pass();
    const rows = await rowsOf(all);
    expect(rows.map(({ acks }) => acks)).toEqual([[2], [2], [2]]);
    expect(Number(rows[0]?.round)).toBeGreaterThan(1);
    expect(rows.every((row) => row.round === rows[0]?.round && row.id === rows[0]?.id)).toBe(true);
  });
  await eventually(() =>
    expect(databases[1]?.notes()).toMatchObject({ round: expect.any(Number), id: expect.any(String) }),
  );
});

test('what happens to a database between the look and the note is not noted over', async () => {
  const all = await prepareCopies(2);
  const { copies, observe } = all;
  const equality = createEquality({ copies, observe, unusedMs: 0 });
  const [first, second] = all.urls as [URL, URL];
  for (const url of all.urls) await runSql(url, "select use_settings('{write_acks,write_acks}', '{1,2}')");
  const pass = async (during: () => Promise<unknown>) => {
    await equality.begin(copies);
    equality.looked([]);
    await during();
    await equality.end();
    return rowsOf(all);
  };
  await pass(async () => undefined);
  for (const url of all.urls) await runSql(url, "select use_settings('{write_acks}', '{1}')");
  const rows = await pass(async () => {
    await runSql(first, "select use_settings('{write_acks}', '{1}')");
    await runSql(second, 'truncate summaries');
  });
  expect(rows).toMatchObject([
    { round: 2, acks: [1, 2] },
    { round: 0, acks: [2] },
  ]);
});

test('a round is not over while a database does not take what it lacks', async () => {
  const all = await prepareCopies(2);
  const { copies, observe } = all;
  const refuse = `create function refuse() returns trigger language plpgsql as $$ begin raise 'no' using errcode = '23514', constraint = 'x'; end $$`;
  await runSql(all.urls[1] as URL, refuse);
  await runSql(
    all.urls[1] as URL,
    'create trigger refuse before insert on summaries for each row execute function refuse()',
  );
  await copies[0]?.store.write([summaryOf()]);
  const equality = createEquality({ copies, observe });
  await all.repair({ equality });
  await all.repair({ equality });
  expect(all.observations.filter(({ type }) => type === 'quarantined')).not.toEqual([]);
  expect((await rowsOf(all)).map(({ round }) => round)).toEqual([0, 0]);
});
