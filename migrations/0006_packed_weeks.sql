-- Packed weeks: the summaries of a week that has been over for long and that nothing changes any more, as arrays. A
-- chunk holds up to 1440 summaries of one series in their order, (bucket, id): a quarter of the room, and as fast to read.
-- Every number comes back bit for bit.
--
-- A summary is either a row of its partition or in a chunk, never both. How that stays so, whatever is written meanwhile:
--
-- 1. Begin: one week is taken down in `packing`, with the count of its changes so far.
-- 2. Copy: chunks are added, some at a time. No read sees those of the pack in progress, no write waits for them.
-- 3. Finish: with the partition locked, and only if nothing of the week has changed since the beginning, the partition is
--    emptied, the row of `packing` goes away, and so the chunks are seen: one commit. Else the chunks are thrown away.
--
-- From then on a trigger on the partition drops each summary that a chunk holds already. What else comes late stays a row, is
-- read along, and goes into a pack of its own when enough of it has gathered.
--
-- That something has changed is known from the notes of the roll-ups: each change of a closed hour leaves one in its own
-- transaction, and when a note is taken away the week's `changes` are counted on.

do $$
begin
  -- Numbers in the narrowest form that holds them exactly: integers, to be divided by a scale, or as they are.
  create type packed_numbers as (small smallint[], medium integer[], wide double precision[]);
exception when duplicate_object then null;
end
$$;

create table if not exists packed_summaries (
  series_id integer not null,
  -- First and last bucket.
  earliest timestamptz not null,
  latest timestamptz not null,
  summaries integer not null,
  pack integer not null,
  -- Buckets at equal distances need no more than the distance; others are seconds since the first.
  step interval,
  offsets packed_numbers,
  -- Outside the packed numbers, which are too large to be looked into for each summary. The last is of the offsets.
  scales double precision[] not null,
  ids uuid[] not null,
  count packed_numbers not null,
  mean packed_numbers not null,
  median packed_numbers not null,
  min packed_numbers not null,
  max packed_numbers not null,
  perc95 packed_numbers not null,
  perc99 packed_numbers not null,
  last packed_numbers not null
);
-- Random bits: to try to compress them is wasted. And a scale is looked up for each number, which must not mean a copy.
alter table packed_summaries alter ids set storage external, alter scales set storage plain;
create index if not exists packed_summaries_series on packed_summaries (series_id, latest);
create index if not exists packed_summaries_latest on packed_summaries (latest);

create sequence if not exists packs as integer;

create table if not exists packing (
  one boolean primary key default true check (one),
  monday date not null,
  pack integer not null,
  changes bigint not null,
  -- Another file: the partition was truncated or made anew, of which no note may be left.
  file oid not null,
  -- The key of the last summary that is copied.
  copied_series integer not null default -2147483648,
  copied_bucket timestamptz not null default '-infinity',
  copied_id uuid not null default '00000000-0000-0000-0000-000000000000'
);

create table if not exists summary_weeks (
  monday date primary key,
  changes bigint not null default 0,
  changed_at timestamptz not null default now(),
  -- So many changes ago it was not worth packing.
  refused_changes bigint
);

-- Where migrations run anew, the notes that tell of changes were thrown away.
delete from packed_summaries where pack = (select pack from packing);
delete from packing;

-- As for summaries: a new name must not be given what an old one left behind.
select setval(pg_get_serial_sequence('series', 'id'), max(series_id)) from packed_summaries
having max(series_id) > (select coalesce(max(id), 0) from series);

create or replace function count_week_changes() returns trigger language plpgsql as $$
begin
  insert into summary_weeks (monday, changes)
  select distinct date_trunc('week', hour at time zone 'UTC')::date, 1 from taken
  on conflict (monday) do update set changes = summary_weeks.changes + 1, changed_at = now();
  return null;
end
$$;
create or replace trigger count_week_changes after delete on dirty_hours referencing old table as taken
  for each statement execute function count_week_changes();

create or replace function forget_packs() returns trigger language plpgsql as $$
begin
  delete from packed_summaries;
  delete from packing;
  return null;
end
$$;
create or replace trigger forget_packs after truncate on summaries for each statement execute function forget_packs();

-- The least power of ten that makes all of the numbers integers of at most 31 bits from which division gives back the same
-- bits; null where there is none. A decimal as people and programs print it is the double nearest to such a quotient.
create or replace function exact_scale(numbers double precision[]) returns double precision
language plpgsql immutable parallel safe as $$
declare
  scale double precision;
begin
  foreach scale in array array[1, 10, 100, 1000, 10000, 100000, 1000000] loop
    if not exists (
      select from unnest(numbers) as number
      where case when abs(number) <= 2147483647 / scale
        then round(number * scale) / scale <> number or number = 0 and number::text <> '0' -- Minus zero.
        else true end)
    then
      return scale;
    end if;
  end loop;
  return null;
end
$$;

create or replace function pack_numbers(numbers double precision[], scale double precision) returns packed_numbers
language plpgsql immutable parallel safe as $$
begin
  if scale is null then
    return row(null, null, numbers)::packed_numbers;
  end if;
  if (select max(abs(number)) from unnest(numbers) as number) * scale <= 32767 then
    return row(array(select round(number * scale)::smallint from unnest(numbers) as number), null, null)::packed_numbers;
  end if;
  return row(null, array(select round(number * scale)::integer from unnest(numbers) as number), null)::packed_numbers;
end
$$;

-- Those in the places `lower` to `upper`, still to be divided by the scale.
create or replace function unpack_numbers(packed packed_numbers, lower integer, upper integer) returns double precision[]
language sql immutable parallel safe as $$
  select case when packed.small is not null then packed.small[lower:upper]::double precision[]
    when packed.medium is not null then packed.medium[lower:upper]::double precision[] else packed.wide[lower:upper] end
$$;

create or replace function unpack_buckets(
  earliest timestamptz, step interval, offsets packed_numbers, scale double precision, lower integer, upper integer
) returns timestamptz[] language sql immutable parallel safe as $$
  select case when step is not null
    then array(select generate_series(earliest + (lower - 1) * step, earliest + (upper - 1) * step, step))
    else array(select earliest + number / scale * interval '1 second'
      from unnest(unpack_numbers(offsets, lower, upper)) as number) end
$$;

-- The place of the last of the buckets at equal distances that is not after an instant.
create or replace function place_of(instant timestamptz, earliest timestamptz, step interval) returns integer
language sql immutable parallel safe as $$
  select floor(greatest(least(extract(epoch from instant - earliest) / extract(epoch from step), 2e9), -1))::integer + 1
$$;

-- The distance of buckets that lie all equally far apart; null where they do not. In seconds alone: a day may have 23 hours.
create or replace function regular_step(buckets timestamptz[]) returns interval
language plpgsql immutable parallel safe as $$
declare
  earliest timestamptz := buckets[1];
  latest timestamptz := buckets[cardinality(buckets)];
  step interval;
begin
  if earliest = latest then
    return case when cardinality(buckets) = 1 then interval '1 minute' end;
  end if;
  step := make_interval(secs => extract(epoch from latest - earliest)::double precision / (cardinality(buckets) - 1));
  return case when step > interval '0' and array(select generate_series(earliest, latest, step)) = buckets then step end;
end
$$;

-- What reads see: all but the pack in progress.
create or replace view packed_chunks as
select * from packed_summaries where pack is distinct from (select pack from packing);

-- The packed summaries of a series between two instants, inclusive. Inlined, so that only chunks of the range are touched,
-- and of a chunk with buckets at equal distances only the part in the range is unpacked.
create or replace function packed_between(series integer, oldest timestamptz, newest timestamptz)
returns table (series_id integer, bucket timestamptz, id uuid, count double precision, mean double precision,
  median double precision, min double precision, max double precision, perc95 double precision,
  perc99 double precision, last double precision)
language sql stable parallel safe rows 1440 as $$
  select * from (
    select series_id, unnest(unpack_buckets(earliest, step, offsets, scales[9], lower, upper)) as bucket,
      unnest(ids[lower:upper]) as id, unnest(unpack_numbers(count, lower, upper)) / scales[1] as count,
      unnest(unpack_numbers(mean, lower, upper)) / scales[2] as mean,
      unnest(unpack_numbers(median, lower, upper)) / scales[3] as median,
      unnest(unpack_numbers(min, lower, upper)) / scales[4] as min,
      unnest(unpack_numbers(max, lower, upper)) / scales[5] as max,
      unnest(unpack_numbers(perc95, lower, upper)) / scales[6] as perc95,
      unnest(unpack_numbers(perc99, lower, upper)) / scales[7] as perc99,
      unnest(unpack_numbers(last, lower, upper)) / scales[8] as last
    from (
      select *,
        case when step is null then 1 else greatest(1, place_of(oldest, earliest, step)) end as lower,
        case when step is null then summaries else least(summaries, place_of(newest, earliest, step)) end as upper
      from packed_chunks as chunk
      where chunk.series_id = series and chunk.latest >= oldest and chunk.earliest <= newest and oldest <= newest
      offset 0) as found) as unpacked
  where bucket between oldest and newest
$$;

-- The last of the packed summaries of a series in one bucket, one of each chunk that has any, without unpacking the others.
create or replace function last_packed(series integer, at timestamptz) returns table (id uuid, last double precision)
language sql stable parallel safe as $$
  select ids[place], (unpack_numbers(last, place, place))[1] / scales[8]
  from (
    select *, case when step is not null then place_of(at, earliest, step)
      else width_bucket(at, unpack_buckets(earliest, step, offsets, scales[9], 1, summaries)) end as place
    from packed_chunks as chunk
    where chunk.series_id = series and chunk.latest >= at and chunk.earliest <= at offset 0) as found
  where (unpack_buckets(earliest, step, offsets, scales[9], place, place))[1] = at
$$;
