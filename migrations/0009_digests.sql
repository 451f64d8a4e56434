-- Digests: how many summaries each slice of time holds, and the order-free hash of their ids. Databases whose digests agree
-- hold the same summaries; repair looks further only where they do not. So a comparison costs as much as there are hours,
-- however many summaries are in them.
--
-- 1. Every change adds a row of what it adds and takes away, in its own transaction (triggers): sums may be made of any rows
--    at any time, and writers never wait for each other.
-- 2. Maintenance merges rows of one slice. Slices are minutes while their hour is open (`closed_to`), then the hour.
-- 3. What no trigger sees, such as a partition that was dropped by hand, is counted anew from the summaries (`recount`).

create table if not exists digests (
  slice timestamptz not null,
  summaries bigint not null,
  hash bigint not null,
  -- By maintenance: one row a slice.
  merged boolean not null default false
);
create index if not exists digests_slice on digests (slice);
create index if not exists digests_unmerged on digests (slice) where not merged;

-- Whose turn it is to repair.
create table if not exists repair_lease (
  one boolean primary key default true check (one),
  holder uuid,
  until timestamptz not null default '-infinity'
);
insert into repair_lease default values on conflict do nothing;

create or replace function slice_of(bucket timestamptz, closed_to timestamptz) returns timestamptz
language sql immutable parallel safe as $$
  select date_bin(case when bucket < closed_to then interval '1 hour' else interval '1 minute' end, bucket, 'epoch')
$$;

-- What a statement has changed; the argument is 1 for what is there now, -1 for what was there before. The notes for the
-- roll-ups as before.
create or replace function note_changes() returns trigger language plpgsql as $$
begin
  insert into digests (slice, summaries, hash)
  select slice_of(bucket, (select closed_to from rollup_state)), tg_argv[0]::integer * count(*),
    bit_xor(uuid_hash_extended(id, 0))
  from changed group by 1;
  insert into dirty_hours (series_id, hour)
  select distinct series_id, date_bin('1 hour', bucket, 'epoch') from changed
  where bucket < (select closed_to from rollup_state);
  return null;
end
$$;

-- Counts the hours from `lower` to before `upper` anew, which are whole hours. In one statement, so of one snapshot: a change
-- that it does not see adds its row later.
create or replace function recount(lower timestamptz, upper timestamptz) returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtext('m2pg digests'));
  with gone as (delete from digests where slice >= lower and slice < upper)
  insert into digests (slice, summaries, hash)
  select date_bin('1 hour', bucket, 'epoch'), count(*), bit_xor(uuid_hash_extended(id, 0))
  from (
    select bucket, id from summaries where bucket >= lower and bucket < upper
    union all select packed.bucket, packed.id
    from (select distinct series_id from packed_chunks where latest >= lower and earliest < upper) as chunks
    cross join lateral packed_between(chunks.series_id, lower, upper - interval '1 microsecond') as packed) as stored
  group by 1;
end
$$;

-- As before; of the digests, only those of the partition that was truncated.
create or replace function forget_rollups() returns trigger language plpgsql as $$
declare
  monday date;
begin
  update rollup_state set rolled_to = '-infinity';
  delete from hourly_rollups;
  delete from daily_rollups;
  delete from dirty_hours;
  if tg_relid = 'summaries'::regclass then
    perform pg_advisory_xact_lock(hashtext('m2pg digests'));
    delete from digests;
  else
    monday := to_date(right(tg_table_name, 8), 'YYYYMMDD');
    perform recount(week_start(monday), week_start(monday + 7));
  end if;
  return null;
end
$$;

create or replace function watch_summaries(watched regclass) returns void language plpgsql as $$
declare
  moment text;
  sign integer;
begin
  for moment, sign in
    select * from (values ('insert on %s referencing new', 1), ('delete on %s referencing old', -1),
      ('update on %s referencing old', -1), ('update on %s referencing new', 1)) as moments
  loop
    execute format('create or replace trigger %I after ' || moment
      || ' table as changed for each statement execute function note_changes(%L)', 'dirty_' || moment, watched, sign);
  end loop;
  execute format('create or replace trigger forget_rollups after truncate on %s
    for each statement execute function forget_rollups()', watched);
end
$$;

-- Writers wait from here to the end of the migration: what is counted is all that there is.
select watch_summaries('summaries');
select watch_summaries(inhrelid) from pg_inherits where inhparent = 'summaries'::regclass;
delete from digests;
select recount('1900-01-01 00:00+00', '2900-01-01 00:00+00');

-- As before. A partition that is made where digests tell of summaries is one that was dropped by hand.
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
  if exists (select from packed_chunks where latest >= week_start(monday) and latest < week_start(monday + 7)) then
    perform refuse_packed_in(partition::regclass);
  end if;
  execute format('alter table summaries attach partition %I for values from (%L) to (%L)', partition,
    to_char(monday, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(monday + 7, 'YYYY-MM-DD') || ' 00:00:00+00');
  if exists (select from digests where slice >= week_start(monday) and slice < week_start(monday + 7)) then
    perform recount(week_start(monday), week_start(monday + 7));
  end if;
  return true;
end
$$;

-- Counts the weeks anew that have digests and no partition any more. Returns how many.
create or replace function recount_dropped_weeks() returns integer language plpgsql as $$
declare
  monday date;
  recounted integer := 0;
begin
  for monday in select distinct date_trunc('week', slice at time zone 'UTC')::date from digests loop
    if week_partition(monday) is null
      and not exists (select from packed_chunks where latest >= week_start(monday) and latest < week_start(monday + 7))
    then
      perform recount(week_start(monday), week_start(monday + 7));
      recounted := recounted + 1;
    end if;
  end loop;
  return recounted;
end
$$;

-- As before; minutes of the hours that are closed now are to be merged into hours.
create or replace function close_hours(until timestamptz) returns integer
language plpgsql set lock_timeout = '100ms' as $$
declare
  before timestamptz;
begin
  select closed_to into before from rollup_state where closed_to < until for update;
  if not found then
    return 0;
  end if;
  lock table only summaries in share mode;
  update rollup_state set closed_to = until;
  update digests set merged = false where merged and slice >= before and slice < until;
  return 1;
exception when lock_not_available then
  return 0;
end
$$;

-- So many rows at most. Returns how many it has merged; 0 also when another process is at it.
create or replace function merge_digests(rows_max integer) returns integer language plpgsql as $$
declare
  taken integer;
begin
  if not pg_try_advisory_xact_lock(hashtext('m2pg digests')) then
    return 0;
  end if;
  with fresh as (
      delete from digests where ctid = any (array(select ctid from digests where not merged limit rows_max)) returning *),
    placed as (
      select slice_of(slice, (select closed_to from rollup_state)) as slice, summaries, hash from fresh),
    known as (
      delete from digests where merged and slice in (select slice from placed) returning *),
    merged as (
      insert into digests (slice, summaries, hash, merged)
      select slice, sum(summaries), bit_xor(hash), true
      from (select * from placed union all select slice, summaries, hash from known) as parts
      group by slice having sum(summaries) <> 0 or bit_xor(hash) <> 0)
  select count(*) into taken from fresh;
  return taken;
end
$$;

-- As before; what was packed is counted already.
create or replace function unpack_week(monday date) returns bigint language plpgsql as $$
declare
  unpacked bigint;
begin
  perform pg_advisory_xact_lock(hashtext('m2pg pack'));
  delete from packed_summaries where pack = (select pack from packing);
  delete from packing;
  create temporary table unpacking on commit drop as
  select packed.* from (
    select series_id, min(earliest) as earliest, max(latest) as latest from packed_summaries
    where latest >= week_start(monday) and latest < week_start(monday + 7) group by series_id) as chunks
  cross join lateral packed_between(chunks.series_id, chunks.earliest, chunks.latest) as packed;
  perform create_summaries_week(monday);
  delete from packed_summaries where latest >= week_start(monday) and latest < week_start(monday + 7);
  with inserted as (insert into summaries select * from unpacking on conflict do nothing returning bucket, id),
    uncounted as (
      insert into digests (slice, summaries, hash)
      select date_bin('1 hour', bucket, 'epoch'), -count(*), bit_xor(uuid_hash_extended(id, 0)) from inserted group by 1)
  select count(*) into unpacked from inserted;
  drop table unpacking;
  return unpacked;
end
$$;
