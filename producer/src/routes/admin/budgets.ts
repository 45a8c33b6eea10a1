/** `GET /admin/v1/budgets`: what is spent, reserved and left of each budget. */
import { Problem } from '@waybill/shared/domain/problem.ts';
import { type BudgetSubject, budgetSubjects } from '@waybill/shared/routing/budgets.ts';
import { readBudgetWindows } from '@waybill/shared/store/budgets.ts';
import { Router } from 'express';
import type { ApiContext } from '../../api-context.ts';
import { requireScope } from '../../authentication.ts';
import { onlyMethods } from '../../methods.ts';
import { strictQuery } from '../../strict-query.ts';
import { limitOf } from '../ord-list.ts';
import { askedStart, type BudgetList, budgetJson, ruleJson } from './budget-json.ts';

const windows = ['current', 'previous'] as const;

export function adminBudgetsRouter({ authenticator, database, settings }: ApiContext): Router {
  const router = Router({ caseSensitive: true });
  router
    .route('/')
    .get(requireScope(authenticator, 'admin'), async (request, response) => {
      const query = strictQuery(request, ['per', 'subject', 'window', 'after', 'limit']);
      const per = query.per === undefined ? null : oneOf<BudgetSubject>('per', query.per, budgetSubjects);
      const which = oneOf('window', query.window ?? 'current', windows);
      const limit = limitOf(query.limit, 'budgets');
      const nowMs = Date.now();
      const rules = settings()
        .budgets.filter((rule) => per === null || rule.per === per)
        .map((rule) => ({ rule, startsAt: askedStart(rule, which, nowMs) }));
      const found = await readBudgetWindows(database, {
        rules,
        subject: query.subject ?? null,
        after: query.after ?? '',
        limit,
      });
      response.json({
        object: 'list',
        data: found.windows.map(budgetJson),
        rules: rules.map(({ rule, startsAt }) => ruleJson(rule, startsAt)),
        has_more: found.nextAfter !== null,
        next_after: found.nextAfter,
      } satisfies BudgetList);
    })
    .all(onlyMethods('GET'));
  return router;
}

function oneOf<T extends string>(name: string, text: string, known: readonly T[]): T {
  const found = known.find((each) => each === text);
  if (found !== undefined) return found;
  throw new Problem(
    'invalid_value',
    `Cannot list budgets: ${name} is "${text.slice(0, 40)}", expected one of ${known.join(', ')}`,
    { param: name },
  );
}
