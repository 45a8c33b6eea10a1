/** A budget that sixteen workers spend at once, with estimates that are wrong. */
import type { Arena, FleetConfig } from '../arena.ts';
import { answering } from '../behaviour.ts';
import type { Shape } from '../load.ts';
import { type Scenario, scaled } from '../scenario.ts';

const limitNano = 1_000_000_000n;
const dollars = (nano: bigint | number): string => `$${(Number(nano) / 1e9).toFixed(4)}`;

/** About a cent: 100 tokens at $10, and 150 at $60 a million. Without a bound, an answer is taken for 1,000 tokens. */
const price = { input_usd_per_million: '10', output_usd_per_million: '60' };
const budgeted =
  (reserve: 'expected' | 'max') =>
  ({ providers, chains, ...rest }: FleetConfig) => ({
    ...rest,
    providers: { ...providers, a: { ...providers.a, models: { m: price } } },
    chains: { default: { ...chains.default, targets: ['a/m'] } },
    budgets: [
      { per: 'tenant', period: 'day', limit_usd: '1.00', alert_at: [0.5, 0.8, 1], reserve, on_exceeded: 'reject' },
    ],
  });

/** Half of them are billed more than they were estimated with, half less. */
const misjudged: Shape = (customId, dice) => {
  const output = dice.between(100, 200);
  const asked = dice.next() < 0.5 ? Math.ceil(output / 2) : output * 2;
  return request(`tokens 100/${output} ${customId}`, asked);
};

/** Never more than was asked for. */
const bounded: Shape = (customId, dice) => {
  const asked = dice.between(150, 220);
  return request(`tokens 60/${dice.between(80, asked)} ${customId}`, asked);
};

const request = (prompt: string, maxTokens: number) => ({
  body: { model: 'default', messages: [{ role: 'user', content: prompt }], max_tokens: maxTokens },
});

interface Spent {
  readonly committed: bigint;
  readonly reserved: bigint;
}

async function readSpent({ query }: Arena): Promise<Spent> {
  const [row] = await query(
    'select coalesce(sum(committed_nano), 0)::text as committed, coalesce(sum(reserved_nano), 0)::text as reserved from waybill.budget_windows',
  );
  return { committed: BigInt(String(row?.committed)), reserved: BigInt(String(row?.reserved)) };
}

/**
 * What the calls that were under way at the last claim cost beyond what was reserved for them: until then, all that was
 * spent and reserved was within the limit.
 */
async function underEstimated({ query }: Arena): Promise<bigint> {
  const [row] = await query(`
    with called as (
      select a.started_at, a.ended_at, greatest(0, a.cost_nano
        - ceil(((j.estimated_tokens - j.estimated_output) * 10000000000.0 + j.estimated_output * 60000000000.0) / 1000000)) as beyond
      from waybill.attempts a join waybill.jobs j on j.id = a.job_id where a.cost_nano > 0)
    select coalesce(sum(beyond), 0)::text as beyond from called where ended_at >= (select max(started_at) from called)`);
  return BigInt(String(row?.beyond).split('.')[0] ?? 0);
}

async function checkBudget(arena: Arena, isExact: boolean): Promise<string[]> {
  const { query, remarks } = arena;
  const { committed, reserved } = await readSpent(arena);
  const beyond = await underEstimated(arena);
  const [ledger] = await query('select coalesce(sum(cost_nano), 0)::text as nano from waybill.ledger');
  const alerts = await query(`select id from waybill.events where type = 'budget.threshold' order by id`);
  const statuses = await query(
    'select status, error_kind, count(*)::int as n from waybill.jobs group by 1, 2 order by 1',
  );
  remarks.push(
    `committed ${dollars(committed)} of ${dollars(limitNano)}, reserved ${dollars(reserved)}, ledger ${dollars(BigInt(String(ledger?.nano)))}; under way and under-estimated at the last claim: ${dollars(beyond)}`,
    `jobs: ${statuses.map(({ status, error_kind: kind, n }) => `${n} ${status}${kind ? ` (${kind})` : ''}`).join(', ')}; alerts: ${alerts.length}`,
  );
  const allowed = limitNano + (isExact ? 0n : beyond);
  return [
    ...(committed > allowed ? [`committed ${dollars(committed)}, allowed ${dollars(allowed)}`] : []),
    ...(committed !== BigInt(String(ledger?.nano))
      ? [`the ledger has ${dollars(BigInt(String(ledger?.nano)))}, committed is ${dollars(committed)}`]
      : []),
    ...(reserved !== 0n ? [`${dollars(reserved)} are still reserved`] : []),
    ...(committed < (limitNano * 9n) / 10n ? [`only ${dollars(committed)} were spent`] : []),
    ...(new Set(alerts.map(({ id }) => id)).size !== alerts.length ? ['a threshold was told twice'] : []),
    ...(alerts.length < 2 || alerts.length > 3 ? [`${alerts.length} alerts`] : []),
  ];
}

const budget = (name: string, about: string, reserve: 'expected' | 'max', shape: Shape): Scenario => ({
  name,
  about,
  stores: ['redis', 'postgres'],
  jobs: 300,
  shortJobs: 160,
  settleLimitS: 240,
  arena: { workers: 16, limit: 64, shape, configure: budgeted(reserve) },
  async run(arena) {
    const { provider, load, jobs, until, progress, query } = arena;
    await provider.behave('a', answering(300, scaled(arena, 2_000, 800)));
    await load.submit(jobs);
    await until('every job is final', async () => (await progress()).final >= load.accepted.size, 200_000);
    const refused = await query(`select custom_id from waybill.jobs where error_kind = 'budget_exceeded'`);
    return { failing: new Map(refused.map(({ custom_id: id }) => [String(id), 'budget_exceeded'])) };
  },
  check: (_, arena) => checkBudget(arena, reserve === 'max'),
});

export const budgetScenarios: readonly Scenario[] = [
  budget('budget-expected', 'sixteen workers spend one dollar, by estimates that are wrong', 'expected', misjudged),
  budget('budget-max', 'sixteen workers spend one dollar, and reserve the most that a call can cost', 'max', bounded),
];
