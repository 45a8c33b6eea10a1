/** Whose turn it is in a conversation, and what a settle writes down besides the attempt. The same on both stores. */
import { newId } from '@waybill/shared/domain/ids.ts';
import { claimJobs } from '@waybill/shared/store/claim.ts';
import { readTurns } from '@waybill/shared/store/conversations.ts';
import { noteDecision, readDecisions } from '@waybill/shared/store/decisions.ts';
import { cancelJob, expireJobs, failQueuedJob } from '@waybill/shared/store/job-end.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { type NextStep, parkQueuedJob, settleAttempts } from '@waybill/shared/store/settle.ts';
import { defaultTenantId } from '@waybill/shared/store/tenants.ts';
import { describe, expect, it } from 'vitest';
import { answered, settlementOf, useClaims } from '../support/claims.ts';
import { storesUnderTest } from '../support/stores.ts';

const again: NextStep = { kind: 'requeue', target: 'p/m', delayMs: 0, waiting: null, window: 1_000, carried: null };

describe.each(storesUnderTest)('turns and decisions on the $name store', ({ start }) => {
  const claims = useClaims(start);

  const turnsOf = async (count: number, conversation: string = newId('job')): Promise<JobRow[]> => {
    const jobs: JobRow[] = [];
    for (let n = 0; n < count; n++) jobs.push(await claims.addJob({ conversation }));
    return jobs;
  };
  const isDue = async ({ id }: JobRow): Promise<boolean> =>
    (
      await claims.database.pool.query(
        'select available_at <= clock_timestamp() as due from waybill.jobs where id = $1',
        [id],
      )
    ).rows[0]?.due === true;

  it('a turn waits in the backlog until the one before it is answered, and is due at once then', async () => {
    const [first, second] = (await turnsOf(2)) as [JobRow, JobRow];
    const running = await claims.claimed(first);
    expect(await claims.claim(second)).toEqual({ kind: 'turn' });
    const waiting = await claims.readJob(second.id);
    expect(waiting).toMatchObject({
      status: 'queued',
      seq: second.seq + 1,
      dispatched_at: null,
      waiting_reason: 'conversation',
      waiting_until: null,
    });
    expect(await isDue(second)).toBe(false);
    await claims.settle(running, 1n);
    expect(await isDue(second)).toBe(true);
    const next = await claims.readJob(second.id);
    expect(next.waiting_reason).toBeNull();
    await claims.claimed(next);
  });

  it('the older turn goes first, though its entry comes later', async () => {
    const [first, second] = (await turnsOf(2)) as [JobRow, JobRow];
    expect(await claims.claim(second)).toEqual({ kind: 'turn' });
    await claims.claimed(first);
  });

  it('a turn that goes on elsewhere is still under way', async () => {
    const [first, second] = (await turnsOf(2)) as [JobRow, JobRow];
    await claims.settle(await claims.claimed(first), 1n, [], { next: again });
    expect(await claims.claim(second)).toEqual({ kind: 'turn' });
    expect(await isDue(second)).toBe(false);
  });

  it.each<[string, (first: JobRow) => Promise<unknown>]>([
    ['cancelled', (first) => cancelJob(claims.database, defaultTenantId, first.id)],
    [
      'failed without a call',
      (first) => failQueuedJob(claims.database, first.id, first.seq, 'requirement_unmet', 'none'),
    ],
    [
      'expired',
      async ({ id }) => {
        await claims.database.pool.query('update waybill.jobs set deadline_at = now() where id = $1', [id]);
        return expireJobs(claims.database, 100);
      },
    ],
  ])('a turn that is %s lets the next one go', async (_, end) => {
    const [first, second, third] = (await turnsOf(3)) as [JobRow, JobRow, JobRow];
    for (const each of [second, third]) expect(await claims.claim(each)).toEqual({ kind: 'turn' });
    await end(first);
    expect([await isDue(second), await isDue(third)]).toEqual([true, false]);
  });

  it('conversations of the same name do not wait for each other in two tenants', async () => {
    const conversation = newId('job');
    const own = await claims.addJob({ conversation });
    const other = await claims.addJob({ conversation, tenantId: await claims.tenant() });
    await claims.claimed(own);
    await claims.claimed(other);
  });

  it('of many claimed at once in many statements, one turn is under way at a time and each has its turn', async () => {
    const talks = await Promise.all(Array.from({ length: 4 }, () => turnsOf(6)));
    const open = new Set(talks.flat().map(({ id }) => id));
    const order: string[] = [];
    const oneByOne = async (seed: number): Promise<void> => {
      for (let turn = seed; open.size > 0; turn++) {
        // Two of two conversations in a statement, in one order or the other.
        const rows = await Promise.all(talks.map((list) => list.find(({ id }) => open.has(id))));
        const due = [rows[turn % 4], rows[(turn + 1 + (seed % 3)) % 4]].filter((each) => each !== undefined);
        const fresh = await Promise.all(due.map(({ id }) => claims.readJob(id)));
        const found = await claimJobs(
          claims.database,
          fresh.map((each) => claims.requestFor(each)),
          [],
        );
        const running = found.flatMap((claim) => (claim.kind === 'claimed' ? [claim.job] : []));
        for (const each of running) {
          const { rows: others } = await claims.database.pool.query(
            `select id from waybill.jobs where conversation = $1 and status = 'in_progress'`,
            [each.conversation],
          );
          expect(others).toEqual([{ id: each.id }]);
          order.push(each.id);
        }
        const ends = running.map((each) => settlementOf(each, 1n));
        if (ends.length > 0) await settleAttempts(claims.database, ends, []);
        for (const { id } of running) open.delete(id);
      }
    };
    await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(oneByOne));
    for (const talk of talks) {
      const ids = talk.map(({ id }) => id);
      expect(order.filter((id) => ids.includes(id))).toEqual(ids);
    }
  }, 60_000);

  it('turns that are cancelled while others are claimed hold nobody up', async () => {
    const talks = await Promise.all(Array.from({ length: 6 }, () => turnsOf(4)));
    await Promise.all(
      talks.flatMap((talk) => [
        ...talk.map((each) => claims.claim(each)),
        ...talk.slice(0, 3).map(({ id }) => cancelJob(claims.database, defaultTenantId, id)),
      ]),
    );
    for (const talk of talks) {
      const last = await claims.readJob((talk.at(-1) as JobRow).id);
      // It was claimed after the last of the others had ended, or can be.
      if (last.status === 'queued') await claims.claimed(last);
      expect((await claims.readJob(last.id)).status).toBe('in_progress');
    }
  });

  it('the turns so far are those that were answered, in the order in which they were', async () => {
    const [first, second, third, fourth] = (await turnsOf(4)) as [JobRow, JobRow, JobRow, JobRow];
    const next = (output: string): NextStep => ({ kind: 'succeed', output });
    await claims.settle(await claims.claimed(first), 1n, [], { next: next('"one"') });
    await cancelJob(claims.database, defaultTenantId, second.id);
    await claims.settle(await claims.claimed(third), 1n, [], { next: next('"three"') });
    const request = JSON.stringify({ model: 'p/m', messages: [{ role: 'user', content: 'hello' }] });
    expect(await readTurns(claims.database, fourth)).toEqual([
      { request, output: '"one"', target: 'p/m', require: [] },
      { request, output: '"three"', target: 'p/m', require: [] },
    ]);
    expect(await readTurns(claims.database, await claims.addJob())).toEqual([]);
    expect(await readTurns(claims.database, { ...fourth, tenant_id: 'ten_of_another' })).toEqual([]);
  });

  const decided = { kind: 'fall_back', why: 'overloaded', detail: '[]', configVersion: 'v1' } as const;

  it('why a job moved on stands with the settle, once', async () => {
    const job = await claims.addJob({}, ['p/m', 'q/m']);
    const running = await claims.claimed(job);
    const next: NextStep = { ...again, target: 'q/m' };
    for (let times = 0; times < 2; times++) await claims.settle(running, 1n, [], { next, decided });
    expect(await readDecisions(claims.database, job.id)).toMatchObject([
      {
        ...{ run: 1, kind: 'fall_back', target: 'p/m', next_target: 'q/m', why: 'overloaded', detail: '[]' },
        config_version: 'v1',
      },
    ]);
  });

  it('what was decided about a job that went on without the attempt is not written', async () => {
    const job = await claims.addJob();
    const running = await claims.claimed(job);
    await cancelJob(claims.database, defaultTenantId, job.id);
    expect(await claims.settle(running, 1n, [], { next: again, decided })).toEqual({ kind: 'fence_lost' });
    expect(await readDecisions(claims.database, job.id)).toEqual([]);
  });

  it('decisions without an attempt are one of a kind for each entry, oldest first', async () => {
    const job = await claims.addJob();
    const one = { ...decided, target: 'p/m', nextTarget: 'q/m' };
    for (const seq of [job.seq, job.seq, job.seq + 1]) await noteDecision(claims.database, { ...job, seq }, one);
    await noteDecision(claims.database, { ...job, seq: job.seq + 2 }, { ...one, kind: 'park' });
    const noted = await readDecisions(claims.database, job.id);
    expect(noted.map(({ seq, kind }) => [seq, kind])).toEqual([
      [job.seq, 'fall_back'],
      [job.seq + 1, 'fall_back'],
      [job.seq + 2, 'park'],
    ]);
  });

  it.each(['settled', 'queued'])(
    'a %s job that is parked waits for approval of the target it would go to',
    async (from) => {
      const job = await claims.addJob({}, ['p/m', 'q/m']);
      if (from === 'settled')
        await claims.settle(await claims.claimed(job), 1n, [], { next: { kind: 'park', target: 'q/m' } });
      else expect(await parkQueuedJob(claims.database, job.id, job.seq, 'q/m')).not.toBeNull();
      const parked = await claims.readJob(job.id);
      expect(parked).toMatchObject({
        ...{ status: 'awaiting_approval', target: 'q/m', provider: 'q', dispatched_at: null, claimed_by: null },
        ...{ waiting_reason: 'approval', seq: job.seq + 1 },
        waiting_until: parked.deadline_at,
      });
      expect(await claims.claim(parked)).toEqual({ kind: 'stale' });
      expect(await parkQueuedJob(claims.database, job.id, job.seq, 'q/m'), 'its entry is stale').toBeNull();
    },
  );

  it('what was found in a request stays with the job, with the labels it requires from then on', async () => {
    const job = await claims.addJob({}, ['p/m', 'q/m']);
    const found = { require: ['local'], detected: ['email'] };
    await claims.settle(await claims.claimed(job), 1n, [], { next: { ...again, target: 'q/m', found } });
    expect(await claims.readJob(job.id)).toMatchObject({ require: ['local'], detected: ['email'], target: 'q/m' });
  });

  it('a job that the last resort answered says so', async () => {
    const job = await claims.addJob();
    await claims.settle(await claims.claimed(job), 1n, [], { next: { ...answered, isLastResort: true } });
    expect(await claims.readJob(job.id)).toMatchObject({ status: 'succeeded', is_last_resort: true });
  });

  it('how long a job has waited for limits of its target is kept while it stays there, and no longer', async () => {
    const job = await claims.addJob({}, ['p/m', 'q/m']);
    const refused = (running: JobRow, next: NextStep) =>
      claims.settle(running, 0n, [], { next, end: { ...settlementOf(running, 0n).end, status: 'failed' } });
    const limited: NextStep = { ...again, delayMs: 5, waiting: 'rate_limit' };
    await refused(await claims.claimed(job), limited);
    const once = await claims.readJob(job.id);
    expect(once.limited_since).toBeInstanceOf(Date);
    await refused(await claims.claimed(once), limited);
    const twice = await claims.readJob(job.id);
    expect(twice.limited_since).toEqual(once.limited_since);
    await refused(await claims.claimed(twice), { ...again, target: 'q/m' });
    expect((await claims.readJob(job.id)).limited_since).toBeNull();
  });
});
