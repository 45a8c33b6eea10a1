/** Defaults of the configuration, in one place. */
import type { Priority } from '../domain/job.ts';
import type { Timeouts } from '../providers/transport.ts';
import type { BackoffSettings, HealthSettings } from './settings.ts';

export const defaultTimeouts: Timeouts = { connectMs: 2_000, firstByteMs: 60_000, idleMs: 60_000, totalMs: 600_000 };
/** A local server loads its model before the first byte. */
export const localFirstByteMs = 180_000;
export const defaultBackoff: BackoffSettings = { initialMs: 1_000, factor: 2, maxMs: 60_000, jitter: 'full' };
export const defaultOnLimitMs: Readonly<Record<Priority, number | null>> = {
  interactive: 5_000,
  normal: 60_000,
  bulk: null,
};
export const defaultHealth: HealthSettings = {
  everyMs: 30_000,
  timeoutMs: 5_000,
  failuresToUnhealthy: 3,
  successesToRecover: 2,
  leastSuccessRate: 0.5,
  isProbed: true,
};
export const defaultSameTargetRetries = 3;
export const defaultMaxAttempts = 10;
export const defaultWebhookTimeoutMs = 10_000;
