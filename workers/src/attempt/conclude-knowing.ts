/** The conclusion of an attempt, with what the fleet knows: where the job may go, and whether a retry is due. */
import { failure } from '@waybill/shared/providers/dialect.ts';
import type { CallResult } from '@waybill/shared/providers/transport.ts';
import { type Candidate, candidates } from '@waybill/shared/routing/candidates.ts';
import { needsOf } from '@waybill/shared/routing/job-needs.ts';
import { type SharedState, targetFacts } from '@waybill/shared/routing/target-facts.ts';
import { windowsOf } from '../dispatch/windows.ts';
import type { WorkerContext } from '../worker-context.ts';
import { type Conclusion, conclude, type Ended } from './conclude.ts';
import type { Delivery } from './delivery.ts';
import { candidatesOf } from './route-of.ts';

type Known = 'candidates' | 'nowMs' | 'random' | 'windowOf' | 'retryInMs';

/**
 * An answer is concluded whatever the shared state. Without it nothing stands against a target but the configuration: the
 * next permit and claim look again.
 */
export async function concludeKnowing(ended: Omit<Ended, Known>, context: WorkerContext): Promise<Conclusion> {
  const { coordination, fleet, logger, now, random } = context;
  const settings = context.settings();
  const job = ended.barred === null ? ended.job : { ...ended.job, require: [...ended.barred.require] };
  try {
    const windowOf = await windowsOf(fleet, settings);
    const found = await candidatesOf(job, ended.chain, context);
    const known = { ...ended, candidates: found, windowOf, nowMs: now(), random: random() };
    const first = conclude({ ...known, retryInMs: 0 });
    if (!first.isRetry) return first;
    const retryInMs = await coordination.takeRetry(ended.provider.id);
    if (retryInMs === 0) return first;
    const second = conclude({ ...known, retryInMs });
    // It goes elsewhere instead: that is no retry.
    if (!second.isRetry) void coordination.returnRetry(ended.provider.id).catch(() => undefined);
    return second;
  } catch (error) {
    logger.error({ err: error, job_id: ended.job.id }, 'an attempt could not be concluded with what the fleet knows');
    const here: Candidate[] = [{ target: ended.target, kind: 'eligible' }];
    const alone = { ...ended, candidates: here, windowOf: () => 0, nowMs: now(), random: random(), retryInMs: 0 };
    try {
      const facts = targetFacts(settings, nothingKnown(context), now());
      return conclude({ ...alone, candidates: candidates(job.targets, needsOf(job, settings), facts) });
    } catch (fault) {
      // A fault of ours in reading the answer: the attempt must end all the same.
      logger.error({ err: fault, job_id: ended.job.id }, 'an attempt could not be concluded');
      return conclude({ ...alone, result: faultOf(ended.result) });
    }
  }
}

const faultOf = ({ meta }: CallResult<Delivery>): CallResult<Delivery> => ({
  kind: 'failure',
  failure: failure('unknown', 'a fault of this worker; its log has more'),
  partial: null,
  meta,
});

const nothingKnown = ({ credentials }: Pick<WorkerContext, 'credentials'>): SharedState => ({
  pauses: new Map(),
  breakers: new Map(),
  switches: new Map(),
  windows: new Map(),
  credentialsOf: (provider) => credentials.of(provider),
});
