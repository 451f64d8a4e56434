-- What the maintenance of one database does, in one statement: keeps the partitions of this week and of some ahead, and
-- drops those that ended before the oldest instant to be kept. One process at a time; the others are told that they
-- were not elected. Dropping needs the table for itself for an instant: who cannot have it within half a second leaves
-- what is left to the next run, rather than let writes queue up behind a long read.
create or replace function maintain_summaries(oldest timestamptz, weeks_ahead integer)
returns table (elected boolean, created text[], dropped text[])
language plpgsql set lock_timeout = '500ms' as $$
declare
  this_monday date := date_trunc('week', now() at time zone 'UTC')::date;
  monday date;
  partition text;
begin
  elected := pg_try_advisory_xact_lock(hashtext('m2pg maintenance'));
  created := '{}';
  dropped := '{}';
  if elected then
    for week in 0 .. weeks_ahead loop
      monday := this_monday + 7 * week;
      if create_summaries_week(monday) then
        created := created || to_char(monday, 'YYYY-MM-DD');
      end if;
    end loop;
    for partition in
      select child.relname from pg_inherits join pg_class child on child.oid = inhrelid
      where inhparent = 'summaries'::regclass
        and to_date(right(child.relname, 8), 'YYYYMMDD') + 7 <= (oldest at time zone 'UTC')::date
      order by child.relname
    loop
      begin
        execute format('drop table %I', partition);
        dropped := dropped || partition;
      exception when lock_not_available then
        exit; -- Who reads any week holds the table above them too: every other drop would wait in vain as well.
      end;
    end loop;
  end if;
  return next;
end
$$;
