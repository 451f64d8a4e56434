-- The dictionary of metric names: a pattern is matched against these rows, never against summaries.
-- Ids are local to a database; nothing may depend on two databases giving a name the same id.
-- Collation "C": names compare byte for byte, and a pattern matches alike on servers of different locales.
create table if not exists series (
  id integer generated always as identity primary key,
  name text collate "C" not null unique
);

-- One row a summary. The primary key is the one index: it serves reads (series and time), idempotence
-- (an id is stored once) and comparison between databases.
create table if not exists summaries (
  series_id integer not null,
  bucket timestamptz not null,
  id uuid not null,
  count double precision not null,
  mean double precision not null,
  median double precision not null,
  min double precision not null,
  max double precision not null,
  perc95 double precision not null,
  perc99 double precision not null,
  last double precision not null,
  primary key (series_id, bucket, id)
) partition by range (bucket);

-- Where only the dictionary was lost, its ids go on after those that summaries still carry: a new name must not be given
-- what an old one left behind.
select setval(pg_get_serial_sequence('series', 'id'), max(series_id)) from summaries
having max(series_id) > (select coalesce(max(id), 0) from series);

-- Creates the partition of one week, given its Monday (UTC). Returns whether it was missing.
-- Attached rather than created in place: ATTACH lets reads and writes of other weeks go on, CREATE ... PARTITION OF
-- would lock them all out and queue behind the longest read. The lock makes racing processes harmless.
create or replace function create_summaries_week(monday date) returns boolean language plpgsql as $$
declare
  partition text := 'summaries_' || to_char(monday, 'YYYYMMDD');
begin
  perform pg_advisory_xact_lock(hashtext('m2pg summaries weeks'));
  if to_regclass(partition) is not null then
    return false;
  end if;
  execute format('create table %I (like summaries including all)', partition);
  execute format('alter table summaries attach partition %I for values from (%L) to (%L)', partition,
    to_char(monday, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(monday + 7, 'YYYY-MM-DD') || ' 00:00:00+00');
  return true;
end
$$;
