/** The work of a claimed job, by the endpoint it is for. */
import { modelSettings } from '@waybill/shared/config/model-settings.ts';
import type { ProviderSettings } from '@waybill/shared/config/settings.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { storedBody } from '@waybill/shared/routing/request-needs.ts';
import type { Claim } from '@waybill/shared/store/claim.ts';
import { createChatWork } from './chat-work.ts';
import type { Work, WorkInput } from './delivery.ts';
import { createEmbeddingsWork } from './embeddings-work.ts';

export function workOf(
  { job, request, history }: Extract<Claim, { kind: 'claimed' }>,
  input: WorkInput,
  provider: ProviderSettings,
): Work {
  const body = storedBody(job.endpoint, request);
  if (body.endpoint === '/v1/embeddings') return createEmbeddingsWork(body.request, input);
  const { defaults } = modelSettings(provider, splitTarget(input.target).model);
  const uselessAnswers = history.filter(
    (attempt) => attempt.target === input.target && attempt.failure === 'bad_output',
  ).length;
  return createChatWork(body.request, { ...input, defaults, uselessAnswers });
}
