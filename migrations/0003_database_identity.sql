-- Tells two databases apart, whatever URLs lead to them: the same database named twice would make one copy look
-- like two.
create table if not exists database_identity (
  one boolean primary key default true check (one),
  id uuid not null default gen_random_uuid()
);
insert into database_identity default values on conflict do nothing;
