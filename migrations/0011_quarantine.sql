-- Summaries that this database refuses although they are valid: by a constraint of its operator, most likely. They block
-- nothing: their neighbours are stored, and the other databases may well have them. The newest ten thousand are kept.
create table if not exists quarantine (
  id uuid primary key,
  summary jsonb not null,
  error text not null,
  refused_at timestamptz not null default now()
);
create index if not exists quarantine_refused_at on quarantine (refused_at);

create or replace function quarantine_summary(refused uuid, summary jsonb, error text) returns void language sql as $$
  insert into quarantine (id, summary, error) values (refused, summary, error)
  on conflict (id) do update set refused_at = now(), error = excluded.error;
  delete from quarantine where refused_at <= (select refused_at from quarantine order by refused_at desc offset 10000 limit 1)
$$;
