-- How weeks are packed, step by step, and unpacked. What it rests on is described in the migration before.

-- Drops what a chunk holds already. On the partitions of packed weeks alone: live weeks pay nothing.
create or replace function refuse_packed() returns trigger language plpgsql as $$
begin
  if exists (
    select from packed_chunks as chunk
    where chunk.series_id = new.series_id and chunk.latest >= new.bucket and chunk.earliest <= new.bucket
      and new.id = any (chunk.ids))
  then
    return null;
  end if;
  return new;
end
$$;

create or replace function week_start(monday date) returns timestamptz language sql immutable parallel safe as $$
  select monday::timestamp at time zone 'UTC'
$$;

-- Null: there is none.
create or replace function week_partition(monday date) returns regclass language sql stable as $$
  select to_regclass('summaries_' || to_char(monday, 'YYYYMMDD'))
$$;

create or replace function refuse_packed_in(watched regclass) returns void language plpgsql as $$
begin
  execute format('create or replace trigger refuse_packed before insert on %s for each row execute function refuse_packed()',
    watched);
end
$$;

-- As before, and a partition that was dropped by hand is made again with the trigger.
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
  return true;
end
$$;

-- Whether a note tells of a change that is not counted yet.
create or replace function has_notes(monday date) returns boolean language sql stable as $$
  select exists (select from dirty_hours where hour >= week_start(monday) and hour < week_start(monday + 7))
$$;

create or replace function changes_of(week date) returns bigint language sql stable as $$
  select coalesce((select changes from summary_weeks where monday = week), 0)
$$;

-- Step 1: the oldest week that ended before `before`, has not changed since `quiet_since` and is worth packing: a chunk has
-- a price of its own, that of two summaries, so there must be `series_min` for each series, on average.
create or replace function begin_pack(before timestamptz, quiet_since timestamptz, series_min integer) returns integer
language plpgsql as $$
declare
  week date;
  enough boolean;
begin
  for week in
    select to_date(right(child.relname, 8), 'YYYYMMDD') as monday
    from pg_inherits join pg_class child on child.oid = inhrelid
    where inhparent = 'summaries'::regclass and pg_relation_size(child.oid) > 0
    order by child.relname
  loop
    continue when week_start(week + 7) > least(before, (select rolled_to from rollup_state)) or has_notes(week)
      or exists (select from summary_weeks
        where monday = week and (changed_at > quiet_since or refused_changes = changes));
    insert into packing (monday, pack, changes, file)
    values (week, nextval('packs'), changes_of(week), pg_relation_filenode(week_partition(week)));
    execute format('select count(*) >= $1 * count(distinct series_id) and count(*) > 0 from %s', week_partition(week))
      into enough using series_min;
    if enough then
      return 1;
    end if;
    insert into summary_weeks (monday, refused_changes) select monday, changes from packing
    on conflict (monday) do update set refused_changes = excluded.refused_changes;
    delete from packing;
  end loop;
  return 0;
end
$$;

-- Step 2: so many summaries, in the order of their key; returns 0 when all are copied.
create or replace function copy_pack(summaries_max integer) returns integer language plpgsql as $$
declare
  state packing;
  copied integer;
begin
  select * into state from packing;
  if week_partition(state.monday) is null then
    return 0;
  end if;
  execute format($copy$
    with batch as materialized (
      select * from %s where (series_id, bucket, id) > ($1, $2, $3) order by series_id, bucket, id limit $4),
    chunks as materialized (
      select series_id, min(bucket) as earliest, max(bucket) as latest, count(*) as summaries, array_agg(bucket) as buckets,
        array_agg(id) as ids, array_agg(count) as count, array_agg(mean) as mean, array_agg(median) as median,
        array_agg(min) as min, array_agg(max) as max, array_agg(perc95) as perc95, array_agg(perc99) as perc99,
        array_agg(last) as last
      from (
        select *, (row_number() over (partition by series_id order by bucket, id) - 1) / 1440 as chunk from batch
        order by series_id, chunk, bucket, id) as in_order
      group by series_id, chunk),
    stepped as materialized (
      select *, regular_step(buckets) as step from chunks),
    shifted as materialized (
      select *, case when step is null then array(
          select extract(epoch from bucket - earliest)::double precision from unnest(buckets) as bucket) end as offsets
      from stepped),
    scaled as materialized (
      select *, array[exact_scale(count), exact_scale(mean), exact_scale(median), exact_scale(min), exact_scale(max),
        exact_scale(perc95), exact_scale(perc99), exact_scale(last), exact_scale(offsets)] as scales
      from shifted),
    packed as (
      insert into packed_summaries (series_id, earliest, latest, summaries, pack, step, offsets, scales, ids,
        count, mean, median, min, max, perc95, perc99, last)
      select series_id, earliest, latest, summaries, $5, step,
        case when step is null then pack_numbers(offsets, scales[9]) end,
        array(select coalesce(scale, 1) from unnest(scales) with ordinality as listed (scale, place) order by place), ids,
        pack_numbers(count, scales[1]), pack_numbers(mean, scales[2]), pack_numbers(median, scales[3]),
        pack_numbers(min, scales[4]), pack_numbers(max, scales[5]), pack_numbers(perc95, scales[6]),
        pack_numbers(perc99, scales[7]), pack_numbers(last, scales[8])
      from scaled)
    update packing set copied_series = series_id, copied_bucket = bucket, copied_id = id
    from (select * from batch order by series_id desc, bucket desc, id desc limit 1) as newest
    $copy$, week_partition(state.monday))
    using state.copied_series, state.copied_bucket, state.copied_id, summaries_max, state.pack;
  get diagnostics copied = row_count;
  return copied;
end
$$;

-- Step 3. Under the lock every change that was made has left its note, and none can be made. It is held for the time that
-- it takes to empty a table; who cannot have it soon tries again at the next run.
create or replace function finish_pack() returns text language plpgsql set lock_timeout = '200ms' as $$
declare
  state packing;
  partition regclass;
begin
  select * into state from packing for update;
  partition := week_partition(state.monday);
  if partition is not null then
    execute format('lock table only %s in access exclusive mode', partition);
  end if;
  if partition is null or pg_relation_filenode(partition) <> state.file
    or has_notes(state.monday) or changes_of(state.monday) <> state.changes
  then
    delete from packed_summaries where pack = state.pack;
    delete from packing;
    return 'changed';
  end if;
  -- The summaries stay, so the roll-ups do too.
  execute format('alter table %s disable trigger forget_rollups', partition);
  execute format('truncate %s', partition);
  execute format('alter table %s enable trigger forget_rollups', partition);
  perform refuse_packed_in(partition);
  delete from packing;
  return 'packed';
exception when lock_not_available then
  return 'locked';
end
$$;

-- One step of the work on this database. `step`: begun, copied, packed, changed (all of the work is thrown away), locked
-- (left to the next run), or idle when there is nothing to do or another process is at it.
create or replace function pack_summaries(before timestamptz, quiet_since timestamptz, summaries_max integer, series_min integer)
returns table (step text, week text) language plpgsql as $$
begin
  if not pg_try_advisory_xact_lock(hashtext('m2pg pack')) then
    step := 'idle';
  elsif not exists (select from packing) then
    step := case when begin_pack(before, quiet_since, series_min) = 1 then 'begun' else 'idle' end;
    week := (select to_char(monday, 'YYYY-MM-DD') from packing);
  else
    week := (select to_char(monday, 'YYYY-MM-DD') from packing);
    step := case when copy_pack(summaries_max) = 1 then 'copied' else finish_pack() end;
  end if;
  return next;
end
$$;

-- Makes rows of the chunks of a week again, for whoever wants to change or delete some of them. Returns how many. The trigger
-- stays: in this transaction it sees no chunk any more, and in others it keeps away what they hold until it is over.
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
  delete from packed_summaries where latest >= week_start(monday) and latest < week_start(monday + 7);
  perform create_summaries_week(monday);
  insert into summaries select * from unpacking on conflict do nothing;
  get diagnostics unpacked = row_count;
  drop table unpacking;
  return unpacked;
end
$$;
