-- Deletions: what was asked to be deleted, in every database, also in one that was away then: it gets the row from the others
-- when it returns, and repair copies nothing back that a deletion covers.
--
-- A deletion covers the summaries of one name whose buckets are in its range and that were sent before it. What is sent for
-- the range afterwards is new: so what was wrong can be deleted and sent again. Of an id of version 7 it is known when it
-- was made; the others are taken for sent before when the deletion is applied first, and for new later on.
--
-- A deletion is applied again for some seconds, for ids that tell when they were made: writes that were on their way.

create table if not exists deletions (
  id uuid primary key,
  name text collate "C" not null,
  earliest timestamptz not null,
  latest timestamptz not null,
  deleted_at timestamptz not null,
  -- When it was applied to the end for the first time.
  applied_at timestamptz,
  -- Null: some of what it covers may be here.
  settled_at timestamptz
);
create index if not exists deletions_unsettled on deletions (id) where settled_at is null;

-- When an id of version 7 was made; null for all others.
create or replace function made_at(id uuid) returns timestamptz language sql immutable parallel safe as $$
  select case when substr(id::text, 15, 1) = '7'
    then to_timestamp(('x0000' || left(replace(id::text, '-', ''), 12))::bit(64)::bigint / 1000.0) end
$$;

create or replace function is_covered(id uuid, deleted_at timestamptz, applied_at timestamptz) returns boolean
language sql immutable parallel safe as $$
  select coalesce(made_at(id) < deleted_at, applied_at is null)
$$;

-- All of the summaries of one chunk.
create or replace function unpack_chunk(place tid)
returns table (series_id integer, bucket timestamptz, id uuid, count double precision, mean double precision,
  median double precision, min double precision, max double precision, perc95 double precision,
  perc99 double precision, last double precision)
language sql stable as $$
  select series_id, unnest(unpack_buckets(earliest, step, offsets, scales[9], 1, summaries)), unnest(ids),
    unnest(unpack_numbers(count, 1, summaries)) / scales[1], unnest(unpack_numbers(mean, 1, summaries)) / scales[2],
    unnest(unpack_numbers(median, 1, summaries)) / scales[3], unnest(unpack_numbers(min, 1, summaries)) / scales[4],
    unnest(unpack_numbers(max, 1, summaries)) / scales[5], unnest(unpack_numbers(perc95, 1, summaries)) / scales[6],
    unnest(unpack_numbers(perc99, 1, summaries)) / scales[7], unnest(unpack_numbers(last, 1, summaries)) / scales[8]
  from packed_summaries where ctid = place
$$;

-- Takes one chunk away that a deletion may cover part of; what it does not cover become rows. Null: there is no such chunk.
-- What rows add to digests and notes the triggers see; what the chunk had counted is taken away here.
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
  create temporary table unpacking on commit drop as select * from unpack_chunk(place);
  delete from packed_summaries where ctid = place;
  insert into digests (slice, summaries, hash)
  select date_bin('1 hour', bucket, 'epoch'), -count(*), bit_xor(uuid_hash_extended(id, 0)) from unpacking group by 1;
  insert into dirty_hours (series_id, hour)
  select distinct series_id, date_bin('1 hour', bucket, 'epoch') from unpacking;
  insert into summaries
  select * from unpacking
  where bucket < deletion.earliest or bucket > deletion.latest
    or not is_covered(id, deletion.deleted_at, deletion.applied_at)
  on conflict do nothing;
  get diagnostics kept = row_count;
  select count(*) - kept into deleted from unpacking;
  drop table unpacking;
  return deleted;
end
$$;

-- One step of a deletion: one chunk, or so many rows. `done` when nothing of what it covers is here now.
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
  select series.id into series from series where series.name = deletion.name;
  deleted := delete_from_chunk(asked, series);
  if deleted is null then
    with doomed as (
      select series_id, bucket, id from summaries
      where series_id = series and bucket between deletion.earliest and deletion.latest
        and is_covered(id, deletion.deleted_at, deletion.applied_at)
      limit rows_max)
    delete from summaries using doomed
    where summaries.series_id = doomed.series_id and summaries.bucket = doomed.bucket and summaries.id = doomed.id;
    get diagnostics deleted = row_count;
    if deleted < rows_max then
      update deletions set applied_at = coalesce(applied_at, now()),
        settled_at = case when deleted_at < now() - interval '15 seconds' then now() end
      where id = asked;
      done := true;
    end if;
  end if;
end
$$;
