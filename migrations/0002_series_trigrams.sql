-- With pg_trgm a pattern on a large dictionary becomes an index scan. Where the extension is missing, this role may not
-- create it, or an event trigger forbids it, whatever the reason, m2pg works without: patterns then read the whole
-- dictionary, never the summaries. `others` are all errors but a cancelled statement, which ends the migration, and a failed
-- assertion, which an event trigger may raise as well. A server that shuts down ends the session, not the statement.
do $$
begin
  create extension if not exists pg_trgm;
  create index if not exists series_name_trigrams on series using gin (name gin_trgm_ops);
exception
  when others or assert_failure then
    raise notice 'm2pg: no trigram index on series.name: % (SQLSTATE %)', sqlerrm, sqlstate;
end
$$;
