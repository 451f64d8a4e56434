-- Roll-ups: the summaries of one series in one hour, and in one day (UTC), merged into one row, with their digest. A read
-- by hours or longer takes these rows instead of the summaries. They hold nothing that the summaries do not, and
-- may be thrown away at any time.
--
-- How they stay right whatever is written, changed or deleted, and whenever:
--
-- 1. An hour that is over is closed: `closed_to` moves past it, under a lock that no insert holds at the same time. Each
--    later change to a closed hour, by whatever statement, notes the hour as dirty in its own transaction (triggers).
-- 2. `rolled_to` follows: all hours that hold data between the two are noted as dirty in the transaction that moves it.
-- 3. Dirty hours are merged again from their summaries, in batches; the note goes away in the same transaction.
--
-- A read takes the roll-ups of the hours before `rolled_to` that are not dirty, and the summaries of all others.

-- Finds the rows of an hour, whatever their series, at a few bytes a megabyte.
create index if not exists summaries_bucket on summaries using brin (bucket) with (autosummarize = on);

create table if not exists rollup_state (
  one boolean primary key default true check (one),
  closed_to timestamptz not null default '-infinity',
  rolled_to timestamptz not null default '-infinity'
);
insert into rollup_state default values on conflict do nothing;

create table if not exists hourly_rollups (
  series_id integer not null,
  start timestamptz not null,
  -- First and last bucket.
  earliest timestamptz not null,
  latest timestamptz not null,
  -- The digest of the ids.
  summaries integer not null,
  hash bigint not null,
  count double precision not null,
  -- The sum of mean * count, over so many summaries: the others are at the edge of double precision.
  weighted double precision,
  weighed integer not null,
  -- The sum of the means, which counts where all counts are 0.
  plain double precision not null,
  median double precision not null,
  min double precision not null,
  max double precision not null,
  perc95 double precision not null,
  perc99 double precision not null,
  last double precision not null,
  primary key (series_id, start)
);

create table if not exists daily_rollups (like hourly_rollups including all);

-- Notes, one for each change of a closed hour: only added to and taken from, so that writers never wait for each other.
create table if not exists dirty_hours (
  series_id integer not null,
  hour timestamptz not null
);
create index if not exists dirty_hours_series on dirty_hours (series_id, hour);

-- Where tables were dropped by hand and are made anew, nothing that was rolled up holds any more.
truncate hourly_rollups, daily_rollups, dirty_hours;
update rollup_state set rolled_to = '-infinity';

-- The mean is made from a sum of products, which PostgreSQL refuses to let overflow or underflow. Null: this one would, or
-- nearly, and whoever reads its group must merge it row by row.
create or replace function mean_times_count(mean double precision, count double precision) returns double precision
language sql immutable parallel safe as $$
  select case when (mean = 0 or abs(mean) between 1e-250 and 1e280) and (count = 0 or count >= 1e-30)
    then mean * count end
$$;

create or replace function mark_dirty_hours() returns trigger language plpgsql as $$
begin
  insert into dirty_hours (series_id, hour)
  select distinct series_id, date_bin('1 hour', bucket, 'epoch') from changed
  where bucket < (select closed_to from rollup_state);
  return null;
end
$$;

create or replace function forget_rollups() returns trigger language plpgsql as $$
begin
  update rollup_state set rolled_to = '-infinity';
  delete from hourly_rollups;
  delete from daily_rollups;
  delete from dirty_hours;
  return null;
end
$$;

-- A statement trigger fires for the table that the statement names: the whole, or one of its partitions.
create or replace function watch_summaries(watched regclass) returns void language plpgsql as $$
declare
  moment text;
begin
  foreach moment in array array['insert on %s referencing new', 'delete on %s referencing old',
    'update on %s referencing old', 'update on %s referencing new']
  loop
    execute format('create or replace trigger %I after ' || moment
      || ' table as changed for each statement execute function mark_dirty_hours()', 'dirty_' || moment, watched);
  end loop;
  execute format('create or replace trigger forget_rollups after truncate on %s
    for each statement execute function forget_rollups()', watched);
end
$$;

select watch_summaries('summaries');
select watch_summaries(inhrelid) from pg_inherits where inhparent = 'summaries'::regclass;

-- As before, and watched.
create or replace function create_summaries_week(monday date) returns boolean language plpgsql as $$
declare
  partition text := 'summaries_' || to_char(monday, 'YYYYMMDD');
begin
  perform pg_advisory_xact_lock(hashtext('m2pg summaries weeks'));
  if to_regclass(partition) is not null then
    return false;
  end if;
  execute format('create table %I (like summaries including all)', partition);
  perform watch_summaries(partition::regclass);
  execute format('alter table summaries attach partition %I for values from (%L) to (%L)', partition,
    to_char(monday, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(monday + 7, 'YYYY-MM-DD') || ' 00:00:00+00');
  return true;
end
$$;

-- Step 1. The lock waits for the inserts that are under way, which may not have seen where `closed_to` is going, and lets
-- none begin before it is there. It is held for one commit; who cannot have it soon tries again at the next run.
create or replace function close_hours(until timestamptz) returns integer
language plpgsql set lock_timeout = '100ms' as $$
begin
  perform from rollup_state where closed_to < until for update;
  if not found then
    return 0;
  end if;
  lock table only summaries in share mode;
  update rollup_state set closed_to = until;
  return 1;
exception when lock_not_available then
  return 0;
end
$$;

-- Step 2, for one day at most. A day that is over by it is noted for every series that has data in it, so that step 3
-- merges it.
create or replace function note_closed_hours() returns integer language plpgsql as $$
declare
  state rollup_state;
  lower timestamptz;
  upper timestamptz;
begin
  select * into state from rollup_state for update;
  lower := state.rolled_to;
  if lower = '-infinity' then
    select coalesce(min(to_date(right(child.relname, 8), 'YYYYMMDD'))::timestamp at time zone 'UTC', state.closed_to) into lower
    from pg_inherits join pg_class child on child.oid = inhrelid
    where inhparent = 'summaries'::regclass;
  end if;
  upper := least(date_bin('1 day', lower, 'epoch') + interval '1 day', state.closed_to);
  if upper <= lower then
    return 0;
  end if;
  insert into dirty_hours (series_id, hour)
  select distinct series_id, date_bin('1 hour', bucket, 'epoch') from summaries where bucket >= lower and bucket < upper;
  if upper = date_bin('1 day', upper, 'epoch') and lower > upper - interval '1 day' then
    insert into dirty_hours (series_id, hour)
    select series_id, min(start) from hourly_rollups where start >= upper - interval '1 day' and start < lower
    group by series_id;
  end if;
  update rollup_state set rolled_to = upper;
  return 1;
end
$$;

-- Step 3, for so many hours at most. Returns how many it has merged.
create or replace function merge_dirty_hours(hours_max integer) returns integer language plpgsql as $$
declare
  state rollup_state;
  dirty_series integer[];
  dirty_starts timestamptz[];
begin
  -- One at a time, and not while what is rolled up is being forgotten.
  select * into state from rollup_state for update;
  with taken as (
    delete from dirty_hours where ctid = any (array(select ctid from dirty_hours limit hours_max)) returning *)
  select array_agg(series_id), array_agg(hour) into dirty_series, dirty_starts
  from (select distinct series_id, hour from taken) as hours;
  if dirty_series is null then
    return 0;
  end if;

  delete from hourly_rollups using unnest(dirty_series, dirty_starts) as dirty (series_id, start)
  where hourly_rollups.series_id = dirty.series_id and hourly_rollups.start = dirty.start;
  insert into hourly_rollups
  select dirty.series_id, dirty.start, merged.*,
    (select summaries.last from summaries
      where summaries.series_id = dirty.series_id and bucket = merged.latest order by id desc limit 1)
  from unnest(dirty_series, dirty_starts) as dirty (series_id, start)
  cross join lateral (
    select min(bucket), max(bucket) as latest, count(*), bit_xor(uuid_hash_extended(id, 0)), sum(count), sum(product),
      count(product), sum(mean), max(median), min(min), max(max), max(perc95), max(perc99)
    from (
      select *, mean_times_count(mean, count) as product from summaries
      where summaries.series_id = dirty.series_id
        and bucket >= dirty.start and bucket < dirty.start + interval '1 hour') as hour
    having count(*) > 0) as merged
  where dirty.start < state.rolled_to;

  delete from daily_rollups using unnest(dirty_series, dirty_starts) as dirty (series_id, start)
  where daily_rollups.series_id = dirty.series_id and daily_rollups.start = date_bin('1 day', dirty.start, 'epoch');
  insert into daily_rollups
  select day.series_id, day.start, merged.*,
    (select hourly_rollups.last from hourly_rollups
      where hourly_rollups.series_id = day.series_id and hourly_rollups.start = date_bin('1 hour', merged.latest, 'epoch'))
  from (
    select distinct series_id, date_bin('1 day', start, 'epoch') as start
    from unnest(dirty_series, dirty_starts) as dirty (series_id, start)) as day
  cross join lateral (
    select min(earliest), max(latest) as latest, sum(summaries), bit_xor(hash), sum(count), sum(weighted),
      sum(weighed), sum(plain), max(median), min(min), max(max), max(perc95), max(perc99)
    from hourly_rollups
    where hourly_rollups.series_id = day.series_id
      and hourly_rollups.start >= day.start and hourly_rollups.start < day.start + interval '1 day'
    having count(*) > 0) as merged
  where day.start + interval '1 day' <= state.rolled_to;
  return cardinality(dirty_series);
end
$$;

-- One step of the roll-ups of this database, the first of the three that has something to do. Returns 0 when nothing is
-- left, or when another process is at it.
create or replace function roll_up(until timestamptz, hours_max integer) returns integer language plpgsql as $$
declare
  done integer;
begin
  if not pg_try_advisory_xact_lock(hashtext('m2pg roll-ups')) then
    return 0;
  end if;
  done := merge_dirty_hours(hours_max);
  if done = 0 then
    done := note_closed_hours();
  end if;
  if done = 0 then
    done := close_hours(until);
  end if;
  return done;
end
$$;
