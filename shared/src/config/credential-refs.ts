/** The credentials of a provider as its settings name them, for processes that call nobody. */
import type { CredentialRef } from '../security/credential-id.ts';
import { credentialId } from '../security/credential-id.ts';
import type { ProviderSettings } from './settings.ts';

/** A stored one was not read here: whether it is paused is for the workers to say. */
export const credentialRefs = ({ credentials }: ProviderSettings): CredentialRef[] =>
  credentials.map(({ name, account, source }) => ({
    id: source.kind === 'stored' ? name : credentialId(name, source.secret),
    account,
  }));
