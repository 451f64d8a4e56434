-- What services of the same databases have to know of each other, and what keeps a wrong clock from doing harm. All of it is kept
-- in every database, so that it holds after any restart and for services that never see each other.

-- The settings that services use these databases with. A service refreshes its own every few seconds, by the clock of the
-- database. `infinity` stands for `for ever` and for `never`.
create table if not exists settings_in_use (
  setting text not null,
  value double precision not null,
  used_at timestamptz not null,
  primary key (setting, value)
);

-- The last round of repair that found all databases equal, or made them so (src/repair/equality.ts). A database that was added,
-- emptied or restored from an older copy shows by its round that it may lack what the others hold.
create table if not exists equal_rounds (
  one boolean primary key default true check (one),
  round bigint not null default 0,
  id uuid,
  previous uuid,
  -- Another one whenever the database was emptied.
  made uuid not null default gen_random_uuid()
);
insert into equal_rounds default values on conflict do nothing;
-- Where migrations run anew, somebody has dropped a part.
update equal_rounds set round = 0, id = null, previous = null, made = gen_random_uuid();

create or replace function forget_equal_rounds() returns trigger language plpgsql as $$
begin
  update equal_rounds set round = 0, id = null, previous = null, made = gen_random_uuid();
  return null;
end
$$;
create or replace trigger forget_equal_rounds after truncate on summaries
  for each statement execute function forget_equal_rounds();

-- How far maintenance has come in dropping old weeks.
create table if not exists retention_state (
  one boolean primary key default true check (one),
  -- The end of what the last pass was free to drop. Null: no pass yet.
  dropped_to timestamptz,
  -- Weeks past the retention that wait for the word of an operator.
  weeks_held_back integer not null default 0
);
insert into retention_state default values on conflict do nothing;

-- Notes that the settings are in use now. What was noted by a clock that was ahead would count as fresh for as long as it was ahead.
create or replace function use_settings(names text[], numbers double precision[]) returns void language sql as $$
  update settings_in_use set used_at = clock_timestamp() where used_at > clock_timestamp();
  insert into settings_in_use (setting, value, used_at)
  select name, number, clock_timestamp() from unnest(names, numbers) as given (name, number) order by name, number
  on conflict (setting, value) do update set used_at = excluded.used_at
$$;

-- The Mondays of the weeks that have a partition.
create or replace function summary_mondays() returns setof date language sql stable as $$
  select to_date(right(child.relname, 8), 'YYYYMMDD') from pg_inherits join pg_class child on child.oid = inhrelid
  where inhparent = 'summaries'::regclass order by 1
$$;

-- The newest week that holds a summary, as a row or packed; null where none does.
create or replace function newest_monday() returns date language plpgsql stable as $$
declare
  monday date;
  holds_rows boolean;
  packed date := (select date_trunc('week', max(latest) at time zone 'UTC')::date from packed_summaries);
begin
  for monday in select * from summary_mondays() as mondays order by 1 desc loop
    if monday <= packed then
      return packed;
    end if;
    execute format('select exists (select from %s)', week_partition(monday)) into holds_rows;
    if holds_rows then
      return monday;
    end if;
  end loop;
  return packed;
end
$$;

-- The maintenance of one database: keeps the partitions of the week of `instant` and of some ahead, and drops the weeks that ended
-- before `oldest`, the end of the retention. Null: nothing is dropped. Both come from the service, which compares all clocks.
--
-- Clocks that are wrong all together it cannot see. So what a pass drops unasked is bounded: two weeks, and only where the end of
-- the retention has moved by no more than `advance_max` since the pass before. Else everything is held back until an operator asks
-- (advance_max null), and the end that the pass before noted stays: a wrong clock gets no further by trying again. A retention
-- that is set for the first time counts from the oldest week. The newest week that holds data stays in any case, unless asked.
--
-- Returns whether it was this process's turn; the weeks that were created, dropped and held back; and the instant before which
-- traces of dropped weeks may be cleared, null where none may.
create or replace function maintain_weeks(
  instant timestamptz, weeks_ahead integer, oldest timestamptz, advance_max interval,
  out elected boolean, out created text[], out dropped text[], out held_back text[], out cleared_to timestamptz
) language plpgsql set lock_timeout = '500ms' as $$
declare
  state retention_state;
  this_monday date := date_trunc('week', instant at time zone 'UTC')::date;
  last_end timestamptz;
  due date[];
  newest date;
  monday date;
begin
  elected := pg_try_advisory_xact_lock(hashtext('m2pg maintenance'));
  created := '{}';
  dropped := '{}';
  held_back := '{}';
  if not elected then
    return;
  end if;
  for week in 0 .. weeks_ahead loop
    if create_summaries_week(this_monday + 7 * week) then
      created := created || to_char(this_monday + 7 * week, 'YYYY-MM-DD');
    end if;
  end loop;

  select * into state from retention_state for update;
  -- An end that lies ahead was noted by a clock that was ahead.
  last_end := case when state.dropped_to <= instant then state.dropped_to end;
  due := array(select mondays from summary_mondays() as mondays where week_start(mondays + 7) <= oldest order by 1);
  newest := case when cardinality(due) > 0 and advance_max is not null then newest_monday() end;
  if cardinality(due) > 0 and (oldest > coalesce(last_end, week_start(due[1])) + advance_max
    or advance_max is not null and cardinality(array_remove(due, newest)) > 2)
  then
    held_back := array(select to_char(mondays, 'YYYY-MM-DD') from unnest(due) as mondays order by mondays);
  elsif oldest is not null then
    foreach monday in array array_remove(due, newest) loop
      begin
        execute format('drop table %s', week_partition(monday));
        dropped := dropped || to_char(monday, 'YYYY-MM-DD');
      exception when lock_not_available then
        exit; -- Who reads any week holds the table above them too: every other drop would wait in vain as well.
      end;
    end loop;
    state.dropped_to := greatest(last_end, oldest);
  end if;
  if cardinality(dropped) > 0 then
    cleared_to := least(date_trunc('week', oldest, 'UTC'), week_start(newest),
      week_start((select min(mondays) from summary_mondays() as mondays)));
  end if;
  update retention_state set dropped_to = state.dropped_to, weeks_held_back = cardinality(held_back)
  where (dropped_to, weeks_held_back) is distinct from (state.dropped_to, cardinality(held_back));
end
$$;

-- For services of the version before that run on: by the same bound.
create or replace function maintain_summaries(oldest timestamptz, weeks_ahead integer)
returns table (elected boolean, created text[], dropped text[]) language sql as $$
  select elected, created, array(select 'summaries_' || replace(monday, '-', '') from unnest(dropped) as monday)
  from maintain_weeks(now(), weeks_ahead, oldest, '15 days')
$$;

-- Where a clock was ahead, hours are closed that have not begun yet: each write of them would count as a late one, for as long as
-- the clock was ahead. They are opened again. What was rolled up of them is thrown away, and is merged again when they are over;
-- so nothing happens where that is more than a week, for then it is the clock now that is wrong.
create or replace function reopen_hours(until timestamptz) returns integer
language plpgsql set lock_timeout = '100ms' as $$
begin
  if not exists (select from rollup_state where closed_to > until + interval '1 hour') then
    return 0;
  end if;
  if (select count(distinct date_bin('1 hour', slice, 'epoch')) from digests where slice >= until) > 168 then
    return 0;
  end if;
  if not pg_try_advisory_xact_lock(hashtext('m2pg roll-ups')) then
    return 0;
  end if;
  perform from rollup_state for update;
  perform pg_advisory_xact_lock(hashtext('m2pg digests'));
  update rollup_state set closed_to = until, rolled_to = least(rolled_to, until);
  delete from hourly_rollups where start >= until;
  delete from daily_rollups where start > until - interval '1 day';
  -- By the minute again, as those of the other databases.
  with gone as (delete from digests where slice >= until)
  insert into digests (slice, summaries, hash)
  select slice_of(bucket, until), count(*), bit_xor(uuid_hash_extended(id, 0))
  from (
    select bucket, id from summaries where bucket >= until
    union all select packed.bucket, packed.id
    from (select distinct series_id from packed_chunks where latest >= until) as chunks
    cross join lateral packed_between(chunks.series_id, until, '2900-01-01 00:00+00') as packed) as stored
  group by 1;
  return 1;
exception when lock_not_available then
  return 0;
end
$$;
