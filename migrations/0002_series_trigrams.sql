-- With pg_trgm a pattern on a large dictionary becomes an index scan. Where the extension is missing or this role
-- may not create it, m2pg works without: patterns then read the whole dictionary, never the summaries.
do $$
begin
  create extension if not exists pg_trgm;
  create index if not exists series_name_trigrams on series using gin (name gin_trgm_ops);
exception
  when insufficient_privilege or undefined_file or feature_not_supported or undefined_object then
    raise notice 'm2pg: no trigram index on series.name: %', sqlerrm;
end
$$;
