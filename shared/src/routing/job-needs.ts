/** What a stored job asks of a target as the configuration is now: its own needs, and what its tenant wants by now. */
import type { Settings } from '../config/settings.ts';
import { requiredOf, tenantSettings } from '../config/tenant-settings.ts';
import type { JobNeeds } from './candidates.ts';
import type { CallSize } from './limits.ts';

/** The columns of a job's row that say it. */
export interface JobOfNeeds {
  readonly tenant_id: string;
  readonly require: readonly string[];
  readonly exclude_providers: readonly string[];
  readonly estimated_tokens: number;
  readonly estimated_output: number;
}

export const sizeOf = (job: Pick<JobOfNeeds, 'estimated_tokens' | 'estimated_output'>): CallSize => ({
  inputTokens: job.estimated_tokens - job.estimated_output,
  outputTokens: job.estimated_output,
});

/** The row's targets were filtered by capability and window when it was accepted; what its tenant wants may be new. */
export const needsOf = (job: JobOfNeeds, settings: Pick<Settings, 'privacy' | 'tenants'>): JobNeeds => ({
  capabilities: [],
  windowTokens: 0,
  size: sizeOf(job),
  require: [...new Set([...job.require, ...requiredOf(settings, job.tenant_id)])],
  excludeProviders: [...job.exclude_providers, ...tenantSettings(settings, job.tenant_id).excludeProviders],
});
