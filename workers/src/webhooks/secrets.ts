/** The tenants' signing secrets, opened once in a few seconds however many webhooks go out. */
import { webhookSecretOf } from '@waybill/shared/store/tenants.ts';
import type { WorkerContext } from '../worker-context.ts';

const rememberMs = 5_000;
const mostRemembered = 1_000;

export type Secrets = (tenantId: string) => Promise<string>;

export function createSecrets({ database, sealer, now }: Pick<WorkerContext, 'database' | 'sealer' | 'now'>): Secrets {
  const known = new Map<string, { secret: Promise<string>; untilMs: number }>();
  return (tenantId) => {
    const entry = known.get(tenantId);
    if (entry && entry.untilMs > now()) return entry.secret;
    if (known.size >= mostRemembered) known.clear();
    const secret = webhookSecretOf(database, sealer, tenantId);
    known.set(tenantId, { secret, untilMs: now() + rememberMs });
    secret.catch(() => known.delete(tenantId));
    return secret;
  };
}
