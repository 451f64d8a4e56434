-- Arrivals: when each summary was received, by the clock of this database. They decide what a deletion covers, whatever the
-- ids say and whatever the clocks of the services show.
--
-- 1. A row has `arrived`: the instant, by this clock, at which a service received the summary. Of what was stored before
--    this migration it is '-infinity': older than every deletion.
-- 2. A deletion has `deleted_at`: the instant, by this clock, that divides what it covers from what it leaves. It is later
--    than the request and earlier than its answer.
-- 3. Clocks of different machines are never compared. A service measures how long ago something happened, by its monotonic
--    clock, and takes that from what the database's clock shows.
-- 4. A summary that is sent again while the old copy is stored counts as sent again: `arrived` moves on. Else a deletion
--    that is applied later would take what was acknowledged after it.
-- 5. A deletion that was applied and has settled covers nothing any more: what is there is alive.
--
-- Packed chunks keep the arrivals of their summaries in whole seconds, rounded up.

alter table summaries add column if not exists arrived timestamptz not null default '-infinity';
-- For versions that do not know the column.
alter table summaries alter column arrived set default now();

-- Of all summaries of the chunk, where `lags` is null; else see `arrival_of`.
alter table packed_summaries add column if not exists arrived timestamptz default '-infinity',
  add column if not exists lags packed_numbers;

-- A view has the columns that its table had.
create or replace view packed_chunks as
select * from packed_summaries where pack is distinct from (select pack from packing);

-- Packed summaries that were sent again: the arrival here replaces that of the chunk, until it is folded into the chunk.
create table if not exists packed_arrivals (
  series_id integer not null,
  bucket timestamptz not null,
  id uuid not null,
  arrived timestamptz not null,
  primary key (series_id, bucket, id)
);

alter table deletions
  -- Made by a version that judged by ids. It still does, of summaries whose arrival is not known.
  add column if not exists by_id boolean not null default true,
  -- By this database.
  add column if not exists noted_at timestamptz not null default now(),
  -- Summaries, so far, in this database.
  add column if not exists deleted_count bigint not null default 0;
alter table deletions alter column by_id set default false;
create index if not exists deletions_name on deletions (name);

-- Whether a deletion that has not settled covers a summary of its name and range.
create or replace function covers(
  arrived timestamptz, id uuid, deleted_at timestamptz, applied_at timestamptz, by_id boolean
) returns boolean language sql immutable parallel safe as $$
  select case when by_id and arrived = '-infinity' then coalesce(made_at(id) < deleted_at, applied_at is null)
    else arrived < deleted_at end
$$;

-- An arrival in the future was noted before the clock was set back, so before any deletion that was made since.
create or replace function is_ahead(arrived timestamptz) returns boolean language sql volatile parallel safe as $$
  select arrived > clock_timestamp() + interval '1 second'
$$;

drop function if exists is_covered(uuid, timestamptz, timestamptz);

-- The arrivals of a chunk as one instant or, where they differ, as seconds since the bucket of each: for live data small
-- numbers, and nearly the same. Rounded up: what came after a deletion stays after it.
create or replace function pack_arrivals(arrivals timestamptz[], buckets timestamptz[], out arrived timestamptz,
  out lags packed_numbers) language plpgsql immutable parallel safe as $$
begin
  if arrivals[1] = all (arrivals) then
    arrived := arrivals[1];
  else
    lags := pack_numbers(array(
      select case when isfinite(arrival)
          then greatest(-2147483646, least(2147483646, ceil(date_part('epoch', arrival - bucket)))) else -2147483647 end
      from unnest(arrivals, buckets) with ordinality as listed (arrival, bucket, place) order by place), 1);
  end if;
end
$$;

-- When a packed summary arrived. The least lag stands for '-infinity'.
create or replace function arrival_of(arrived timestamptz, lag double precision, bucket timestamptz) returns timestamptz
language sql immutable parallel safe as $$
  select case when lag is null then arrived when lag = -2147483647 then '-infinity' else bucket + lag * interval '1 second' end
$$;

-- `packed_with_sketches`, with the arrivals.
create or replace function packed_with_arrivals(series integer, oldest timestamptz, newest timestamptz)
returns table (series_id integer, bucket timestamptz, id uuid, count double precision, mean double precision,
  median double precision, min double precision, max double precision, perc95 double precision,
  perc99 double precision, last double precision, sketch bytea, arrived timestamptz)
language sql stable parallel safe rows 1440 as $$
  select unpacked.series_id, unpacked.bucket, unpacked.id, count, mean, median, min, max, perc95, perc99, last,
    coalesce(sketch, ''), coalesce(
      (select again.arrived from packed_arrivals as again
        where again.series_id = unpacked.series_id and again.bucket = unpacked.bucket and again.id = unpacked.id),
      arrival_of(unpacked.arrived, lag, unpacked.bucket))
  from (
    select series_id, unnest(unpack_buckets(earliest, step, offsets, scales[9], lower, upper)) as bucket,
      unnest(ids[lower:upper]) as id, unnest(unpack_numbers(count, lower, upper)) / scales[1] as count,
      unnest(unpack_numbers(mean, lower, upper)) / scales[2] as mean,
      unnest(unpack_numbers(median, lower, upper)) / scales[3] as median,
      unnest(unpack_numbers(min, lower, upper)) / scales[4] as min,
      unnest(unpack_numbers(max, lower, upper)) / scales[5] as max,
      unnest(unpack_numbers(perc95, lower, upper)) / scales[6] as perc95,
      unnest(unpack_numbers(perc99, lower, upper)) / scales[7] as perc99,
      unnest(unpack_numbers(last, lower, upper)) / scales[8] as last,
      unnest(sketches[lower:upper]) as sketch, arrived, unnest(unpack_numbers(lags, lower, upper)) as lag
    from (
      select *,
        case when step is null then 1 else greatest(1, place_of(oldest, earliest, step)) end as lower,
        case when step is null then summaries else least(summaries, place_of(newest, earliest, step)) end as upper
      from packed_chunks as chunk
      where chunk.series_id = series and chunk.latest >= oldest and chunk.earliest <= newest and oldest <= newest
      offset 0) as found) as unpacked
  where unpacked.bucket between oldest and newest
$$;

-- `unpack_chunk_with_sketches`, with the arrivals.
create or replace function unpack_chunk_with_arrivals(place tid)
returns table (series_id integer, bucket timestamptz, id uuid, count double precision, mean double precision,
  median double precision, min double precision, max double precision, perc95 double precision,
  perc99 double precision, last double precision, sketch bytea, arrived timestamptz)
language sql stable as $$
  select chunk.series_id, chunk.bucket, chunk.id, chunk.count, chunk.mean, chunk.median, chunk.min, chunk.max, chunk.perc95,
    chunk.perc99, chunk.last, coalesce(sketch, ''),
    coalesce(
      (select again.arrived from packed_arrivals as again
        where again.series_id = chunk.series_id and again.bucket = chunk.bucket and again.id = chunk.id),
      arrival_of(packed_summaries.arrived, lag, chunk.bucket))
  from packed_summaries
  cross join lateral rows from (unpack_chunk(place), unnest(sketches), unnest(unpack_numbers(lags, 1, summaries)))
    as chunk (series_id, bucket, id, count, mean, median, min, max, perc95, perc99, last, sketch, lag)
  where packed_summaries.ctid = place
$$;

drop function if exists unpack_chunk_with_sketches(tid);

create or replace function forget_packed_arrivals() returns trigger language plpgsql as $$
begin
  delete from packed_arrivals using gone
  where packed_arrivals.series_id = gone.series_id and packed_arrivals.bucket between gone.earliest and gone.latest
    and packed_arrivals.id = any (gone.ids);
  return null;
end
$$;
create or replace trigger forget_packed_arrivals after delete on packed_summaries referencing old table as gone
  for each statement execute function forget_packed_arrivals();

-- As before. That a packed summary was sent again is noted, unless it came twice within moments, as relays send it. The
-- lock waits for a deletion that takes the chunk away: then the summary is stored.
create or replace function refuse_packed() returns trigger language plpgsql as $$
declare
  stored timestamptz;
begin
  select coalesce(
      (select again.arrived from packed_arrivals as again
        where again.series_id = new.series_id and again.bucket = new.bucket and again.id = new.id),
      arrival_of(chunk.arrived, (unpack_numbers(chunk.lags, place, place))[1], new.bucket)) into stored
  from packed_summaries as chunk, lateral array_position(chunk.ids, new.id) as place
  where chunk.series_id = new.series_id and chunk.latest >= new.bucket and chunk.earliest <= new.bucket
    and place is not null and chunk.pack is distinct from (select pack from packing)
  limit 1 for share of chunk;
  if not found then
    return new;
  end if;
  if stored < new.arrived - interval '2 seconds' or is_ahead(stored) or exists (
    select from deletions join series on series.name = deletions.name
    where settled_at is null and series.id = new.series_id and new.bucket between deletions.earliest and deletions.latest
      and stored < deleted_at and new.arrived >= deleted_at) then
    insert into packed_arrivals values (new.series_id, new.bucket, new.id, new.arrived)
    on conflict (series_id, bucket, id) do update set arrived = excluded.arrived;
  end if;
  return null;
end
$$;

-- Folds the arrivals of packed summaries that were sent again into their chunks, of so many chunks. Returns of how many.
create or replace function fold_arrivals(chunks_max integer) returns integer language plpgsql as $$
declare
  again packed_arrivals;
  place tid;
  folded integer := 0;
begin
  while folded < chunks_max loop
    select * into again from packed_arrivals limit 1;
    exit when not found;
    select ctid into place from packed_summaries as chunk
    where chunk.series_id = again.series_id and chunk.latest >= again.bucket and chunk.earliest <= again.bucket
      and again.id = any (chunk.ids) and pack is distinct from (select pack from packing)
    limit 1 for update;
    if found then
      create temporary table folding on commit drop as select * from unpack_chunk_with_arrivals(place);
      update packed_summaries set (arrived, lags) = (
        select packed.arrived, packed.lags
        from (
          select array_agg(folding.arrived order by bucket, id) as arrivals, array_agg(bucket order by bucket, id) as buckets
          from folding) as chunk, pack_arrivals(chunk.arrivals, chunk.buckets) as packed)
      where ctid = place;
      delete from packed_arrivals using folding
      where packed_arrivals.series_id = folding.series_id and packed_arrivals.bucket = folding.bucket
        and packed_arrivals.id = folding.id;
      drop table folding;
    else
      delete from packed_arrivals where series_id = again.series_id and bucket = again.bucket and id = again.id;
    end if;
    folded := folded + 1;
  end loop;
  return folded;
end
$$;

-- As before, with the arrivals. In the order of its columns an arrival takes eight bytes and no more.
create or replace function create_summaries_week(monday date) returns boolean language plpgsql as $$
declare
  partition text := 'summaries_' || to_char(monday, 'YYYYMMDD');
  rule record;
begin
  perform pg_advisory_xact_lock(hashtext('m2pg summaries weeks'));
  if to_regclass(partition) is not null then
    return false;
  end if;
  if (select count(*) from pg_attribute where attrelid = 'summaries'::regclass and attnum > 0 and not attisdropped) > 13 then
    execute format('create table %I (like summaries including all)', partition);
  else
    execute format('create table %I (
      bucket timestamptz not null,
      arrived timestamptz not null default now(),
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

-- As before, with the arrivals.
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
        case when max(length(sketch)) > 0 then array_agg(sketch) end as sketches, array_agg(arrived) as arrivals
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
        count, mean, median, min, max, perc95, perc99, last, sketches, arrived, lags)
      select series_id, earliest, latest, summaries, $5, step,
        case when step is null then pack_numbers(offsets, scales[9]) end,
        array(select coalesce(scale, 1) from unnest(scales) with ordinality as listed (scale, place) order by place), ids,
        pack_numbers(count, scales[1]), pack_numbers(mean, scales[2]), pack_numbers(median, scales[3]),
        pack_numbers(min, scales[4]), pack_numbers(max, scales[5]), pack_numbers(perc95, scales[6]),
        pack_numbers(perc99, scales[7]), pack_numbers(last, scales[8]), sketches, packed.arrived, packed.lags
      from scaled, pack_arrivals(arrivals, buckets) as packed)
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
  cross join lateral packed_with_arrivals(chunks.series_id, chunks.earliest, chunks.latest) as packed;
  perform create_summaries_week(monday);
  delete from packed_summaries where latest >= week_start(monday) and latest < week_start(monday + 7);
  with inserted as (
      insert into summaries (series_id, bucket, id, count, mean, median, min, max, perc95, perc99, last, sketch, arrived)
      select * from unpacking on conflict (series_id, bucket, id) do nothing returning bucket, id),
    uncounted as (
      insert into digests (slice, summaries, hash)
      select date_bin('1 hour', bucket, 'epoch'), -count(*), bit_xor(uuid_hash_extended(id, 0)) from inserted group by 1)
  select count(*) into unpacked from inserted;
  drop table unpacking;
  return unpacked;
end
$$;

-- As before. What else there is to do for what is packed is done when no week is due.
create or replace function pack_summaries(before timestamptz, quiet_since timestamptz, summaries_max integer, series_min integer)
returns table (step text, week text) language plpgsql as $$
begin
  if not pg_try_advisory_xact_lock(hashtext('m2pg pack')) then
    step := 'idle';
  elsif not exists (select from packing) then
    step := case when begin_pack(before, quiet_since, series_min) = 1 then 'begun'
      when fold_arrivals(summaries_max / 1440 + 1) > 0 then 'folded' else 'idle' end;
    week := (select to_char(monday, 'YYYY-MM-DD') from packing);
  else
    week := (select to_char(monday, 'YYYY-MM-DD') from packing);
    step := case when copy_pack(summaries_max) = 1 then 'copied' else finish_pack() end;
  end if;
  return next;
end
$$;

-- As before, by arrival.
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
  create temporary table unpacking on commit drop as select * from unpack_chunk_with_arrivals(place);
  delete from packed_summaries where ctid = place;
  insert into digests (slice, summaries, hash)
  select date_bin('1 hour', bucket, 'epoch'), -count(*), bit_xor(uuid_hash_extended(id, 0)) from unpacking group by 1;
  insert into dirty_hours (series_id, hour)
  select distinct series_id, date_bin('1 hour', bucket, 'epoch') from unpacking;
  insert into summaries (series_id, bucket, id, count, mean, median, min, max, perc95, perc99, last, sketch, arrived)
  select * from unpacking
  where bucket < deletion.earliest or bucket > deletion.latest
    or not covers(arrived, id, deletion.deleted_at, deletion.applied_at, deletion.by_id)
      and not (deletion.applied_at is null and is_ahead(arrived))
  on conflict (series_id, bucket, id) do nothing;
  get diagnostics kept = row_count;
  select count(*) - kept into deleted from unpacking;
  drop table unpacking;
  return deleted;
end
$$;

-- One step of a deletion: one chunk, or so many rows. `done` when nothing of what it covers is here now.
--
-- It settles half a minute after it was noted, and some seconds after it was applied first. Until then it is applied again: a
-- statement that stores what was received before may be under way. It is refused when it comes late, and waits for locks for
-- ten seconds, usually; one that waits longer is waited for.
create or replace function apply_deletion(asked uuid, rows_max integer, out deleted integer, out done boolean)
language plpgsql as $$
declare
  deletion deletions;
  series integer;
begin
  deleted := 0;
  -- A pack in progress turns rows into chunks: not between a look at chunks and one at rows.
  perform pg_advisory_xact_lock(hashtext('m2pg pack'));
  select * into deletion from deletions where id = asked for update;
  done := deletion.id is null or deletion.settled_at is not null;
  if done then
    return;
  end if;
  -- The clock was set back after it was applied: arrivals do not tell any more what came before it.
  if deletion.applied_at is not null and deletion.deleted_at > clock_timestamp() then
    update deletions set settled_at = clock_timestamp() where id = asked;
    done := true;
    return;
  end if;
  select series.id into series from series where series.name = deletion.name;
  deleted := delete_from_chunk(asked, series);
  if deleted is null then
    -- Locked in the order in which writers lock what they send again. A row that was sent again meanwhile is left.
    with doomed as materialized (
      select series_id, bucket, summaries.id from summaries
      where series_id = series and bucket between deletion.earliest and deletion.latest
        and (covers(arrived, summaries.id, deletion.deleted_at, deletion.applied_at, deletion.by_id)
          or deletion.applied_at is null and is_ahead(arrived))
      order by bucket, summaries.id limit rows_max for update)
    delete from summaries using doomed
    where summaries.series_id = doomed.series_id and summaries.bucket = doomed.bucket and summaries.id = doomed.id;
    get diagnostics deleted = row_count;
    done := deleted = 0;
  end if;
  update deletions set deleted_count = deleted_count + deleted,
    applied_at = case when done then coalesce(applied_at, clock_timestamp()) else applied_at end,
    settled_at = case when done and not clock_timestamp() between noted_at and noted_at + interval '30 seconds'
      and not clock_timestamp() between applied_at and applied_at + interval '10 seconds'
      and not exists (
        select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and xact_start < noted_at)
      then clock_timestamp() end
  where id = asked;
end
$$;
