/** The work of a claimed job, by the endpoint it is for. */
import { modelSettings } from '@waybill/shared/config/model-settings.ts';
import type { ProviderSettings } from '@waybill/shared/config/settings.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { storedBody } from '@waybill/shared/routing/request-needs.ts';
import type { Claim } from '@waybill/shared/store/claim.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import { createChatWork } from './chat-work.ts';
import type { Work, WorkInput } from './delivery.ts';
import { createEmbeddingsWork } from './embeddings-work.ts';

/** Never throws: a stored request that this version cannot read must not leave its attempt open. */
export function workOf(
  claim: Extract<Claim, { kind: 'claimed' }>,
  input: WorkInput,
  provider: ProviderSettings,
  logger: Logger,
): Work {
  try {
    return readWork(claim, input, provider);
  } catch (error) {
    logger.error({ err: error, job_id: claim.job.id }, 'the stored request of a job could not be read');
    return unreadable;
  }
}

const unreadable: Work = {
  operation: 'chat',
  isStreamed: false,
  told: null,
  write: () => ({ kind: 'unsupported', feature: 'a request that another version stored' }),
};

function readWork(
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
