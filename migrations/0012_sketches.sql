-- Sketches: what a summary may carry of its values, so that the percentiles of several can be told together. To PostgreSQL
-- they are bytes, which it gathers one after another: that is the sketch of all of them (src/domain/sketch.ts). No bytes: none.
--
-- Also the units of a series.

alter table series add column if not exists units text;
alter table summaries add column if not exists sketch bytea not null default '';
-- Of each summary of the chunk, in their order; null where none carries any.
alter table packed_summaries add column if not exists sketches bytea[];
-- Of those of its summaries that carry one, merged but for those that are loose: one after another.
alter table hourly_rollups add column if not exists sketch bytea not null default '',
  add column if not exists is_loose boolean not null default false;
alter table daily_rollups add column if not exists sketch bytea not null default '',
  add column if not exists is_loose boolean not null default false;
create index if not exists hourly_rollups_loose on hourly_rollups (series_id) where is_loose;
create index if not exists daily_rollups_loose on daily_rollups (series_id) where is_loose;

-- The sketches of a group one by one. Of string_agg, which would join them at once, the planner believes that each group takes
-- 8 kB, and sorts all summaries of a large read rather than hash them.
create or replace aggregate gather_sketches(bytea) (sfunc = array_append, stype = bytea[], sspace = 64);

-- A view has the columns that its table had.
create or replace view packed_chunks as
select * from packed_summaries where pack is distinct from (select pack from packing);

-- As before, but that the columns of a partition stand in another order than those of the whole: an empty sketch then takes
-- room that is lost between columns anyway, eight bytes a summary less than at the end. Where somebody has added columns, a
-- partition is made as they are.
create or replace function create_summaries_week(monday date) returns boolean language plpgsql as $$
declare
  partition text := 'summaries_' || to_char(monday, 'YYYYMMDD');
  rule record;
begin
  perform pg_advisory_xact_lock(hashtext('m2pg summaries weeks'));
  if to_regclass(partition) is not null then
    return false;
  end if;
  if (select count(*) from pg_attribute where attrelid = 'summaries'::regclass and attnum > 0 and not attisdropped) > 12 then
    execute format('create table %I (like summaries including all)', partition);
  else
    execute format('create table %I (
      bucket timestamptz not null,
      id uuid not null,
      series_id integer not null,
      sketch bytea not null default '''',
      count double precision not null,
      mean double precision not null,
      median double precision not null,
      min double precision not null,
      max double precision not null,
      perc95 double precision not null,
      perc99 double precision not null,
      last double precision not null,
      primary key (series_id, bucket, id))', partition);
    for rule in
      select conname, pg_get_constraintdef(oid) as text from pg_constraint
      where conrelid = 'summaries'::regclass and contype = 'c'
    loop
      execute format('alter table %I add constraint %I %s', partition, rule.conname, rule.text);
    end loop;
  end if;
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

-- `packed_between`, with the sketches.
create or replace function packed_with_sketches(series integer, oldest timestamptz, newest timestamptz)
returns table (series_id integer, bucket timestamptz, id uuid, count double precision, mean double precision,
  median double precision, min double precision, max double precision, perc95 double precision,
  perc99 double precision, last double precision, sketch bytea)
language sql stable parallel safe rows 1440 as $$
  select series_id, bucket, id, count, mean, median, min, max, perc95, perc99, last, coalesce(sketch, '') from (
    select series_id, unnest(unpack_buckets(earliest, step, offsets, scales[9], lower, upper)) as bucket,
      unnest(ids[lower:upper]) as id, unnest(unpack_numbers(count, lower, upper)) / scales[1] as count,
      unnest(unpack_numbers(mean, lower, upper)) / scales[2] as mean,
      unnest(unpack_numbers(median, lower, upper)) / scales[3] as median,
      unnest(unpack_numbers(min, lower, upper)) / scales[4] as min,
      unnest(unpack_numbers(max, lower, upper)) / scales[5] as max,
      unnest(unpack_numbers(perc95, lower, upper)) / scales[6] as perc95,
      unnest(unpack_numbers(perc99, lower, upper)) / scales[7] as perc99,
      unnest(unpack_numbers(last, lower, upper)) / scales[8] as last,
      unnest(sketches[lower:upper]) as sketch
    from (
      select *,
        case when step is null then 1 else greatest(1, place_of(oldest, earliest, step)) end as lower,
        case when step is null then summaries else least(summaries, place_of(newest, earliest, step)) end as upper
      from packed_chunks as chunk
      where chunk.series_id = series and chunk.latest >= oldest and chunk.earliest <= newest and oldest <= newest
      offset 0) as found) as unpacked
  where bucket between oldest and newest
$$;

-- `unpack_chunk`, with the sketches.
create or replace function unpack_chunk_with_sketches(place tid)
returns table (series_id integer, bucket timestamptz, id uuid, count double precision, mean double precision,
  median double precision, min double precision, max double precision, perc95 double precision,
  perc99 double precision, last double precision, sketch bytea)
language sql stable as $$
  select chunk.series_id, bucket, id, chunk.count, chunk.mean, chunk.median, chunk.min, chunk.max, chunk.perc95, chunk.perc99,
    chunk.last, coalesce(sketch, '')
  from packed_summaries, lateral rows from (unpack_chunk(place), unnest(sketches)) as chunk (series_id, bucket, id, count, mean,
    median, min, max, perc95, perc99, last, sketch)
  where packed_summaries.ctid = place
$$;

-- As before, with the sketches.
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
        array_agg(last) as last,
        case when max(length(sketch)) > 0 then array_agg(sketch) end as sketches
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
        count, mean, median, min, max, perc95, perc99, last, sketches)
      select series_id, earliest, latest, summaries, $5, step,
        case when step is null then pack_numbers(offsets, scales[9]) end,
        array(select coalesce(scale, 1) from unnest(scales) with ordinality as listed (scale, place) order by place), ids,
        pack_numbers(count, scales[1]), pack_numbers(mean, scales[2]), pack_numbers(median, scales[3]),
        pack_numbers(min, scales[4]), pack_numbers(max, scales[5]), pack_numbers(perc95, scales[6]),
        pack_numbers(perc99, scales[7]), pack_numbers(last, scales[8]), sketches
      from scaled)
    update packing set copied_series = series_id, copied_bucket = bucket, copied_id = id
    from (select * from batch order by series_id desc, bucket desc, id desc limit 1) as newest
    $copy$, week_partition(state.monday))
    using state.copied_series, state.copied_bucket, state.copied_id, summaries_max, state.pack;
  get diagnostics copied = row_count;
  return copied;
end
$$;

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
  cross join lateral packed_with_sketches(chunks.series_id, chunks.earliest, chunks.latest) as packed;
  perform create_summaries_week(monday);
  delete from packed_summaries where latest >= week_start(monday) and latest < week_start(monday + 7);
  with inserted as (insert into summaries (series_id, bucket, id, count, mean, median, min, max, perc95, perc99, last, sketch)
      select * from unpacking on conflict (series_id, bucket, id) do nothing returning bucket, id),
    uncounted as (
      insert into digests (slice, summaries, hash)
      select date_bin('1 hour', bucket, 'epoch'), -count(*), bit_xor(uuid_hash_extended(id, 0)) from inserted group by 1)
  select count(*) into unpacked from inserted;
  drop table unpacking;
  return unpacked;
end
$$;

create or replace function delete_from_chunk(asked uuid, series integer) returns integer language plpgsql as $$
declare
  deletion deletions;
  place tid;
  kept integer;
  deleted integer;
begin
  select * into deletion from deletions where id = asked;
  select ctid into place from packed_summaries
  where series_id = series and latest >= deletion.earliest and earliest <= deletion.latest
    and pack is distinct from (select pack from packing)
  limit 1 for update;
  if place is null then
    return null;
  end if;
  perform create_summaries_week(date_trunc('week', earliest at time zone 'UTC')::date)
  from packed_summaries where ctid = place;
  create temporary table unpacking on commit drop as select * from unpack_chunk_with_sketches(place);
  delete from packed_summaries where ctid = place;
  insert into digests (slice, summaries, hash)
  select date_bin('1 hour', bucket, 'epoch'), -count(*), bit_xor(uuid_hash_extended(id, 0)) from unpacking group by 1;
  insert into dirty_hours (series_id, hour)
  select distinct series_id, date_bin('1 hour', bucket, 'epoch') from unpacking;
  insert into summaries (series_id, bucket, id, count, mean, median, min, max, perc95, perc99, last, sketch)
  select * from unpacking
  where bucket < deletion.earliest or bucket > deletion.latest
    or not is_covered(id, deletion.deleted_at, deletion.applied_at)
  on conflict (series_id, bucket, id) do nothing;
  get diagnostics kept = row_count;
  select count(*) - kept into deleted from unpacking;
  drop table unpacking;
  return deleted;
end
$$;

-- Roll-ups as before, with the sketches of their summaries one after another: the service merges them afterwards. And with
-- all notes of an hour at once: a bulk load leaves one of each of its statements.
create or replace function merge_dirty_hours(hours_max integer) returns integer language plpgsql as $$
declare
  state rollup_state;
  dirty_series integer[];
  dirty_starts timestamptz[];
begin
  -- One at a time, and not while what is rolled up is being forgotten.
  select * into state from rollup_state for update;
  with hours as materialized (
    select distinct series_id, hour from (select series_id, hour from dirty_hours limit hours_max) as oldest),
  taken as (
    delete from dirty_hours using hours where dirty_hours.series_id = hours.series_id and dirty_hours.hour = hours.hour)
  select array_agg(series_id), array_agg(hour) into dirty_series, dirty_starts from hours;
  if dirty_series is null then
    return 0;
  end if;

  delete from hourly_rollups using unnest(dirty_series, dirty_starts) as dirty (series_id, start)
  where hourly_rollups.series_id = dirty.series_id and hourly_rollups.start = dirty.start;
  insert into hourly_rollups (series_id, start, earliest, latest, summaries, hash, count, weighted, weighed, plain, median,
    min, max, perc95, perc99, sketch, is_loose, last)
  select dirty.series_id, dirty.start, merged.*,
    (select newest.last from (
        select id, summaries.last from summaries where summaries.series_id = dirty.series_id and bucket = merged.latest
        union all select * from last_packed(dirty.series_id, merged.latest)) as newest
      order by id desc limit 1)
  from unnest(dirty_series, dirty_starts) as dirty (series_id, start)
  cross join lateral (
    select min(bucket), max(bucket) as latest, count(*), bit_xor(uuid_hash_extended(id, 0)), sum(count), sum(product),
      count(product), sum(mean), max(median), min(min), max(max), max(perc95), max(perc99), coalesce(string_agg(sketch, ''), ''),
      count(nullif(sketch, '')) > 1
    from (
      select *, mean_times_count(mean, count) as product from (
        select mean, count, bucket, id, median, min, max, perc95, perc99, sketch from summaries
        where summaries.series_id = dirty.series_id
          and bucket >= dirty.start and bucket < dirty.start + interval '1 hour'
        union all select mean, count, bucket, id, median, min, max, perc95, perc99, sketch
        from packed_with_sketches(dirty.series_id, dirty.start, dirty.start + interval '1 hour' - interval '1 microsecond')
      ) as stored) as hour
    having count(*) > 0) as merged
  where dirty.start < state.rolled_to;

  delete from daily_rollups using unnest(dirty_series, dirty_starts) as dirty (series_id, start)
  where daily_rollups.series_id = dirty.series_id and daily_rollups.start = date_bin('1 day', dirty.start, 'epoch');
  insert into daily_rollups (series_id, start, earliest, latest, summaries, hash, count, weighted, weighed, plain, median,
    min, max, perc95, perc99, sketch, is_loose, last)
  select day.series_id, day.start, merged.*,
    (select hourly_rollups.last from hourly_rollups
      where hourly_rollups.series_id = day.series_id and hourly_rollups.start = date_bin('1 hour', merged.latest, 'epoch'))
  from (
    select distinct series_id, date_bin('1 day', start, 'epoch') as start
    from unnest(dirty_series, dirty_starts) as dirty (series_id, start)) as day
  cross join lateral (
    select min(earliest), max(latest) as latest, sum(summaries), bit_xor(hash), sum(count), sum(weighted),
      sum(weighed), sum(plain), max(median), min(min), max(max), max(perc95), max(perc99), coalesce(string_agg(sketch, ''), ''),
      count(nullif(sketch, '')) > 1 or bool_or(is_loose)
    from hourly_rollups
    where hourly_rollups.series_id = day.series_id
      and hourly_rollups.start >= day.start and hourly_rollups.start < day.start + interval '1 day'
    having count(*) > 0) as merged
  where day.start + interval '1 day' <= state.rolled_to;
  return cardinality(dirty_series);
end
$$;
