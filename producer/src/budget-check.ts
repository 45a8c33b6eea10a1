/**
 * A submit whose budget is spent is refused before anything runs. What is only nearly spent is decided in the claim,
 * where it is reserved.
 */
import type { Settings } from '@waybill/shared/config/settings.ts';
import { formatUsd } from '@waybill/shared/domain/money.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { isFreeTarget } from '@waybill/shared/pricing/call-prices.ts';
import { type BudgetRule, windowEnd, windowStart } from '@waybill/shared/routing/budgets.ts';
import { readSpent } from '@waybill/shared/store/budgets.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import type { NewJob } from '@waybill/shared/store/insert-jobs.ts';

type Check = (job: NewJob) => Promise<void>;

/** Rules about whoever asks; those about providers and models leave other targets. @throws Problem `budget_exceeded` */
export function createBudgetCheck(settings: Settings, database: Database): Check {
  const rules = settings.budgets.filter(({ per }) => per !== 'provider' && per !== 'model');
  if (rules.length === 0) return () => Promise.resolve();
  const spent = new Map<string, Promise<bigint>>();
  return async (job) => {
    const nowMs = Date.now();
    if (isFreeTarget(job.target, settings.providers, job.estimatedTokens, nowMs)) return;
    const done = new Set<string>();
    for (const rule of rules) {
      const subject = subjectOf(rule, job);
      if (subject === null || done.has(rule.id) || rule.only?.includes(subject.name) === false) continue;
      done.add(rule.id);
      const known = spent.get(subject.key) ?? readSpent(database, subject.key, windowStart(rule.period, nowMs));
      spent.set(subject.key, known);
      if ((await known) >= rule.limitNano && rule.onExceeded === 'reject') throw exceeded(rule, subject.name, nowMs);
    }
  };
}

/** As `waybill.budget_subject` names them. */
function subjectOf({ id, per, field }: BudgetRule, job: NewJob): { name: string; key: string } | null {
  const name =
    per === 'tenant'
      ? job.tenantId.replace(/^ten_/, '')
      : per === 'api_key'
        ? job.apiKeyId
        : per === 'end_user'
          ? job.endUser
          : (job.metadata[field ?? ''] ?? null);
  if (name === null) return null;
  return { name, key: `${id}:${per === 'end_user' || per === 'metadata' ? `${job.tenantId}/` : ''}${name}` };
}

const exceeded = ({ id, limitNano, period }: BudgetRule, name: string, nowMs: number): Problem =>
  new Problem(
    'budget_exceeded',
    `Cannot accept the job: the budget ${id} of "${name.slice(0, 64)}", $${formatUsd(limitNano)}, is spent until ${windowEnd(period, nowMs).toISOString()}. Raise it, or wait for its next window`,
  );
