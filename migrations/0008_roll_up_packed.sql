-- Roll-ups as before, of the summaries in chunks too: steps 2 and 3 of the migration that made them.

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
  select series_id, date_bin('1 hour', bucket, 'epoch') from summaries where bucket >= lower and bucket < upper
  union -- An hour in the midst of a chunk may hold nothing: then nothing comes of its note.
  select series_id, generate_series(date_bin('1 hour', greatest(earliest, lower), 'epoch'),
    least(latest, upper - interval '1 microsecond'), '1 hour')
  from packed_chunks where latest >= lower and earliest < upper;
  if upper = date_bin('1 day', upper, 'epoch') and lower > upper - interval '1 day' then
    insert into dirty_hours (series_id, hour)
    select series_id, min(start) from hourly_rollups where start >= upper - interval '1 day' and start < lower
    group by series_id;
  end if;
  update rollup_state set rolled_to = upper;
  return 1;
end
$$;

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
    (select newest.last from (
        select id, summaries.last from summaries where summaries.series_id = dirty.series_id and bucket = merged.latest
        union all select * from last_packed(dirty.series_id, merged.latest)) as newest
      order by id desc limit 1)
  from unnest(dirty_series, dirty_starts) as dirty (series_id, start)
  cross join lateral (
    select min(bucket), max(bucket) as latest, count(*), bit_xor(uuid_hash_extended(id, 0)), sum(count), sum(product),
      count(product), sum(mean), max(median), min(min), max(max), max(perc95), max(perc99)
    from (
      select *, mean_times_count(mean, count) as product from (
        select * from summaries
        where summaries.series_id = dirty.series_id
          and bucket >= dirty.start and bucket < dirty.start + interval '1 hour'
        union all select *
        from packed_between(dirty.series_id, dirty.start, dirty.start + interval '1 hour' - interval '1 microsecond')
      ) as stored) as hour
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
