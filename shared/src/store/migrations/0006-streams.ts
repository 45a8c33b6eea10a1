/** What streamed jobs have told so far. Copies only, on UNLOGGED tables: a crash may empty them, and loses no output. */
const tables = `
create unlogged table coordination.streams (
  stream text primary key,
  token text not null,
  attempt int not null,
  last int not null default 0,
  bytes int not null default 0,
  touched_at timestamptz not null default clock_timestamp()
);
create unlogged table coordination.stream_events (
  stream text not null,
  n int not null,
  event text not null,
  primary key (stream, n)
);
`;

const append = `
-- For each stream 'told', 'full' or 'lost'. Events that are there already are not added again.
create function coordination.append_events(p_streams text[], p_tokens text[], p_attempts int[], p_afters int[], p_counts int[], p_events text[],
  p_most_events int, p_most_bytes int, p_channel text) returns text[] language plpgsql as $$
declare
  v_ends int[] := '{}';
  v_end int := 0;
  v_answers text[] := array_fill('lost'::text, array[cardinality(p_streams)]);
  v_new text[];
  v_bytes int;
  s coordination.streams%rowtype;
  i int;
begin
  for i in 1 .. cardinality(p_streams) loop
    v_end := v_end + p_counts[i];
    v_ends[i] := v_end;
  end loop;
  -- In one order, so that two statements do not wait for each other.
  for i in select u.ord from unnest(p_streams) with ordinality as u(name, ord) order by u.name loop
    select * into s from coordination.streams where stream = p_streams[i] for update;
    continue when not found or s.token <> p_tokens[i] or s.attempt <> p_attempts[i] or s.last < p_afters[i];
    v_new := p_events[v_ends[i] - p_counts[i] + 1 + s.last - p_afters[i] : v_ends[i]];
    v_bytes := (select coalesce(sum(octet_length(e)), 0) from unnest(v_new) as e);
    if s.last + cardinality(v_new) > p_most_events or s.bytes + v_bytes > p_most_bytes then
      v_answers[i] := 'full';
      continue;
    end if;
    insert into coordination.stream_events (stream, n, event)
      select s.stream, s.last + u.ord, u.event from unnest(v_new) with ordinality as u(event, ord);
    update coordination.streams set last = s.last + cardinality(v_new), bytes = s.bytes + v_bytes, touched_at = clock_timestamp()
      where stream = s.stream;
    perform pg_notify(p_channel, s.stream);
    v_answers[i] := 'told';
  end loop;
  return v_answers;
end $$;
`;

export const statements = [tables, append];
