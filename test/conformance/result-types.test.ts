/** One list of statements, one answer: whatever the store, a value has the same type and an error the same code. */
import type { Pool, QueryResult } from '@waybill/shared/store/database.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type StoreUnderTest, startEmbedded, startServer } from '../support/stores.ts';

let embedded: StoreUnderTest;
let server: StoreUnderTest;

beforeAll(async () => {
  [embedded, server] = await Promise.all([startEmbedded(), startServer()]);
  console.info(`The server beside the embedded store: ${server.source}`);
  const setUp = `create schema probe; create table probe.rows (id int primary key, note text); insert into probe.rows values (1, 'one'), (2, 'two')`;
  for (const { database } of [embedded, server]) await database.pool.query(setUp);
}, 120_000);
afterAll(() => Promise.all([embedded.stop(), server.stop()]));

const at = new Date('2026-03-29T01:30:00.123Z');
const bytes = Buffer.from([0, 1, 127, 128, 255]);
const id = '0190a5d4-3c1e-7abc-8def-0123456789ab';

const values: [sql: string, parameters?: unknown[]][] = [
  ['select 1::int2 as a, (-32768)::int2 as b, 2147483647::int4 as c'],
  ['select 9007199254740993::int8 as large, 0::int8 as none, count(*) as counted from probe.rows'],
  ['select 0.1::numeric as a, 12345678901234567890.123456789::numeric as b, 1e3::numeric(10, 2) as c'],
  [`select 1.5::float4 as a, 0.1::float8 as b, 'NaN'::float8 as c, '-Infinity'::float8 as d, 1e300::float8 as e`],
  ['select true as yes, false as no, null::bool as unknown'],
  [`select 'text'::text as a, ''::text as empty, 'varchar'::varchar(20) as b, 'c'::char(3) as padded`],
  [`select E'line\\nbreak "quoted" \\'and\\' \\\\ back' as escapes, 'grüße 🚚' as unicode`],
  [`select '2026-03-29 01:30:00.123456+00'::timestamptz as instant, 'infinity'::timestamptz as never`],
  [`select '2026-03-29 01:30:00'::timestamp as local, '2026-03-29'::date as day`],
  [`select '01:30:00'::time as time, '90 minutes'::interval as span, '1 day 2 seconds'::interval as both`],
  [`select '{"a": [1, 2.5, null, "x"], "b": {}}'::json as json, '{"b": 1, "a": [true]}'::jsonb as jsonb`],
  [`select 'null'::jsonb as json_null, '[]'::json as list, '"text"'::jsonb as string, '12'::jsonb as number`],
  [`select '\\x00017f80ff'::bytea as bytes, ''::bytea as none`],
  [`select '${id}'::uuid as id`],
  [`select array[1, 2, null]::int[] as ints, '{}'::text[] as none, array['a', 'b,c', '"d"', null]::text[] as texts`],
  [`select array[1, 2]::int8[] as large, array[1.5]::numeric[] as exact, array[true, false] as bools`],
  [`select array[0.5, 2]::float8[] as floats, array['2026-03-29T00:00:00Z']::timestamptz[] as instants`],
  [`select array['{"a":1}']::jsonb[] as documents, array['${id}']::uuid[] as ids, array[1, 2]::int2[] as small`],
  [`select array[[1, 2], [3, 4]] as nested, array['\\x01']::bytea[] as bytes, array['x']::varchar[] as varchars`],
  ['select null as untyped, null::int8 as large, null::jsonb as json, null::timestamptz as instant'],
  ['select 1::oid as oid, current_schema() as schema'],
  ['select * from probe.rows order by id'],
  ['select note, note from probe.rows where id = 1'],
  ['select 1 where false'],
  ['values (1, true), (2, null)'],
];
const parameters: [sql: string, parameters?: unknown[]][] = [
  ['select $1::int4 as a, $2::int8 as b, $3::numeric as c', [7, '9007199254740993', '0.10']],
  ['select $1::int8 as number, $2::int8 as bigint, $3::float8 as float', [42, 9007199254740993n, 0.25]],
  ['select $1::bool as yes, $2::bool as no, $3::text as nothing', [true, false, null]],
  ['select $1::text as undefined_is_null', [undefined]],
  ['select $1::timestamptz as a, $2::timestamptz as b', [at, at.toISOString()]],
  ['select $1::json as object, $2::jsonb as list, $3::jsonb as text', [{ a: [1] }, '[1, "x"]', '"bare"']],
  ['select $1::bytea as buffer, $2::bytea as array', [bytes, new Uint8Array(bytes)]],
  ['select $1::uuid as id, $2::uuid[] as ids', [id, [id]]],
  [
    'select $1::int[] as ints, $2::text[] as texts',
    [
      [1, 2, null],
      ['a,b', '"c"', '', 'NULL', '\\', null],
    ],
  ],
  ['select $1::text[] as none, $2::int[][] as nested', [[], [[1], [2]]]],
  ['select $1::bytea[] as bytes, $2::timestamptz[] as instants', [[bytes], [at]]],
  ['select $1 as text, length($2) as length', ["'; drop table probe.rows; --", 'x'.repeat(100_000)]],
  ['select id from probe.rows where id = any($1::int[]) order by id', [[2, 1]]],
  ['select $1::interval as span', ['3 days']],
];
const changes: [sql: string, parameters?: unknown[]][] = [
  [`insert into probe.rows values (10, 'ten'), (11, 'eleven')`],
  ['insert into probe.rows values ($1, $2), ($3, $4) returning id, note', [12, 'twelve', 13, null]],
  [`insert into probe.rows values (10, 'again') on conflict do nothing`],
  ['insert into probe.rows values ($1, $2) on conflict (id) do update set note = excluded.note', [10, 'changed']],
  [`update probe.rows set note = 'new' where id >= 12`],
  ['update probe.rows set note = $2 where id = $1 returning *', [11, 'returned']],
  [`update probe.rows set note = 'nobody' where id = 99`],
  ['update probe.rows set note = $1 where id = 99 returning id', ['nobody']],
  [`with moved as (update probe.rows set note = 'moved' where id = 12 returning id) select id from moved`],
  [`with ids as (select 20 as id) insert into probe.rows select id, 'from a query' from ids`],
  [`with ids as (select 21 as id) insert into probe.rows select id, $1 from ids returning id`, ['and back']],
  ['delete from probe.rows where id = 10'],
  ['delete from probe.rows where id > $1 returning id', [12]],
  ['delete from probe.rows where false'],
  [`-- a comment first\nupdate probe.rows set note = 'seen' where id = 1`],
  [`/* a comment of the other kind */ update probe.rows set note = 'seen' where id <= 2`],
];
const several: [sql: string, parameters?: unknown[]][] = [
  ['select 1 as a; select 2 as b, 3 as c'],
  ['select 1 as a; update probe.rows set note = null where id in (1, 2)'],
  [`update probe.rows set note = 'x' where id = 1; select note from probe.rows where id = 1`],
  [`insert into probe.rows values (30, 'thirty'); delete from probe.rows where id = 30;`],
  [`do $$ begin perform 1; end $$; select 'after a block; with a semicolon' as text`],
];
const definitions: [sql: string, parameters?: unknown[]][] = [
  ['create table probe.made (id int)'],
  ['create index made_id on probe.made (id)'],
  ['drop table probe.made'],
  ['set statement_timeout = 0'],
  ['begin; rollback'],
  ['do $$ begin perform 1; end $$'],
];
const errors: [code: string, sql: string, parameters?: unknown[]][] = [
  ['23505', `insert into probe.rows values (1, 'twice')`],
  ['23505', 'insert into probe.rows values ($1, $2)', [1, 'twice']],
  ['23502', 'insert into probe.rows values (null)'],
  ['22012', 'select 1 / 0'],
  ['22012', 'select 1 / $1::int', [0]],
  ['42601', 'selec 1'],
  ['42601', 'select 1; selec 2'],
  ['42P01', 'select * from probe.missing'],
  ['42703', 'select missing from probe.rows'],
  ['22P02', 'select $1::int', ['not a number']],
  ['22P02', 'select $1::jsonb', ['{']],
  ['22003', 'select 2147483647::int4 + 1'],
  ['22021', 'select $1::text', ['a\0b']],
  ['08P01', 'select $1::int, $2::int', [1]],
  ['P0001', `do $$ begin raise exception 'ours'; end $$`],
  ['40P01', `do $$ begin raise exception 'as if' using errcode = 'deadlock_detected'; end $$`],
];

describe('both stores answer alike', () => {
  it.each([...values, ...parameters])('values: %s', async (sql, given) => {
    const [ours, theirs] = await onBoth(sql, given);
    expect(ours).toEqual(theirs);
    expect(typesOf(ours)).toEqual(typesOf(theirs));
  });

  it.each(several)('the last of several statements: %s', async (sql, given) => {
    const [ours, theirs] = await onBoth(sql, given);
    expect(ours).toEqual(theirs);
  });

  it('changes and their counts, in order', async () => {
    for (const [sql, given] of changes) {
      const [ours, theirs] = await onBoth(sql, given);
      expect({ sql, ...ours }).toEqual({ sql, ...theirs });
    }
    const [ours, theirs] = await onBoth('select * from probe.rows order by id');
    expect(ours).toEqual(theirs);
  });

  it('definitions, which have no rows and no count', async () => {
    for (const [sql, given] of definitions) {
      const [ours, theirs] = await onBoth(sql, given);
      expect({ sql, ...ours }).toEqual({ sql, ...theirs });
    }
  });

  it.each(errors)('errors: %s for %s', async (code, sql, given) => {
    for (const { database } of [embedded, server]) {
      await expect(database.pool.query(sql, given)).rejects.toMatchObject({ code });
      // The session is as good as before.
      expect((await database.pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    }
  });

  it('a unique violation names its constraint and table', async () => {
    for (const { database } of [embedded, server]) {
      await expect(database.pool.query('insert into probe.rows values (2, null)')).rejects.toMatchObject({
        constraint: 'rows_pkey',
        schema: 'probe',
        table: 'rows',
        severity: 'ERROR',
      });
    }
  });
});

async function onBoth(sql: string, given?: unknown[]): Promise<[QueryResult, QueryResult]> {
  return [await answer(embedded.database.pool, sql, given), await answer(server.database.pool, sql, given)];
}

/** `pg` answers several statements with a list of results; the last one counts. */
async function answer(pool: Pool, sql: string, given?: unknown[]): Promise<QueryResult> {
  const result: unknown = await pool.query(sql, given);
  const { rows, rowCount, command, fields } = (Array.isArray(result) ? result.at(-1) : result) as QueryResult;
  return { rows, rowCount, command, fields: fields.map(({ name, dataTypeID }) => ({ name, dataTypeID })) };
}

/** `toEqual` takes a Buffer for a Uint8Array; their users do not. */
const typesOf = ({ rows }: QueryResult): unknown[] =>
  rows.map((row) => Object.values(row).map((value) => Object.getPrototypeOf(Object(value))?.constructor?.name));
