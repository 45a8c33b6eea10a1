/** The providers of this machine's configuration, and with what each can be asked from here. No server is needed. */
import { loadConfig } from '@waybill/shared/config/load.ts';
import { probeLocalServers } from '@waybill/shared/config/probe.ts';
import type { CredentialSettings, ProviderSettings, Settings } from '@waybill/shared/config/settings.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { nearestHint } from '@waybill/shared/domain/strict-object.ts';
import { defaultModels } from '@waybill/shared/providers/catalogue.ts';
import type { Secret } from '@waybill/shared/security/secret.ts';
import { asConfigProblem } from '../config-problem.ts';

export interface Configured {
  readonly settings: Settings;
  /** The one that was named, or all that are enabled. */
  readonly providers: readonly ProviderSettings[];
}

/** @throws Problem `invalid_config file_unreadable not_found no_provider_configured` */
export async function loadConfigured(
  id: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Configured> {
  const { settings } = await loadConfig(env, probeLocalServers).catch(asConfigProblem);
  return { settings, providers: chosen(settings, id) };
}

function chosen({ providers }: Settings, id: string | undefined): ProviderSettings[] {
  if (id !== undefined) {
    const named = Object.hasOwn(providers, id) ? providers[id] : undefined;
    if (named) return [named];
    const ids = Object.keys(providers);
    const known = ids.length === 0 ? 'none is' : `configured are ${ids.slice(0, 12).join(', ')}`;
    throw new Problem(
      'not_found',
      `Cannot ask the provider "${id.slice(0, 64)}": it is not configured${nearestHint(id, ids) || `; ${known}`}`,
      { param: 'id' },
    );
  }
  const enabled = Object.values(providers).filter((provider) => provider.enabled);
  if (enabled.length > 0) return enabled;
  throw new Problem(
    'no_provider_configured',
    'Cannot ask any provider: none is configured. "waybill providers discover" shows what this machine has',
  );
}

/** One address of a provider, asked with one of its credentials. */
export interface Question {
  readonly provider: ProviderSettings;
  readonly endpoint: string;
  /** null: the server asks for none. */
  readonly credential: { readonly name: string; readonly account: string; readonly secret: Secret | null } | null;
}

/** Every address with every credential. */
export const questionsOf = (provider: ProviderSettings): Question[] =>
  provider.endpoints.flatMap(({ url: endpoint }): Question[] =>
    provider.credentials.length === 0
      ? [{ provider, endpoint, credential: null }]
      : provider.credentials.map((each) => ({ provider, endpoint, credential: known(each) })),
  );

/** Each address once, with the first credential that can be read here. */
export const questionsToList = (provider: ProviderSettings): Question[] => {
  const all = questionsOf(provider);
  return provider.endpoints.flatMap(({ url }) => {
    const here = all.filter(({ endpoint }) => endpoint === url);
    return here.find(isReadable) ?? here[0] ?? [];
  });
};

/** A stored secret is the server's: it is not read here. */
export const isReadable = ({ credential }: Question): boolean => credential === null || credential.secret !== null;

const known = ({ name, account, source }: CredentialSettings) => ({
  name,
  account,
  secret: source.kind === 'stored' ? null : source.secret,
});

/** Models that a chain or the configuration names; where none does, the one that would be used. */
export function modelsInUse({ chains }: Settings, provider: ProviderSettings): string[] {
  const inChains = Object.values(chains)
    .flatMap(({ targets }) => targets)
    .map(splitTarget)
    .filter((target) => target.provider === provider.id)
    .map(({ model }) => model);
  const named = [...new Set([...inChains, ...Object.keys(provider.models)])];
  const usual = defaultModels[provider.preset];
  return named.length > 0 || !usual ? named : [usual];
}

/** Addresses as they are shown: a query may hold a secret. */
export const shownAddress = (url: string): string => url.replace(/[?#].*$/s, '');
