/** What the configuration says of a tenant. */
import type { Settings, TenantSettings } from './settings.ts';

const plainTenant: TenantSettings = { weight: 1, chain: null, require: [], excludeProviders: [] };

export function tenantSettings({ tenants }: Pick<Settings, 'tenants'>, tenantId: string): TenantSettings {
  const name = tenantId.replace(/^ten_/, '');
  return (Object.hasOwn(tenants, name) ? tenants[name] : undefined) ?? plainTenant;
}

/** Labels that every target of the tenant's jobs must have as the configuration is now, whatever was asked for with a job. */
export const requiredOf = (settings: Pick<Settings, 'tenants' | 'privacy'>, tenantId: string): string[] => [
  ...(settings.privacy.isCloudOn ? [] : ['local']),
  ...tenantSettings(settings, tenantId).require,
];
