/** The headers by which each dialect proves who asks, for requests that are not calls: lists, health. */
import type { Secret } from '../../security/secret.ts';
import type { DialectName } from '../dialect.ts';

const anthropicVersion = '2023-06-01';

const bearer = (credential: Secret): Record<string, string> => ({ authorization: `Bearer ${credential.reveal()}` });

const named: Readonly<Record<DialectName, (credential: Secret) => Record<string, string>>> = {
  openai: bearer,
  anthropic: (credential) => ({ 'x-api-key': credential.reveal() }),
  gemini: (credential) => ({ 'x-goog-api-key': credential.reveal() }),
  'azure-openai': (credential) => ({ 'api-key': credential.reveal() }),
  cohere: bearer,
  ollama: bearer,
};

/** @param apiVersion `anthropic-version`; other dialects say their version elsewhere. null: the dialect's own default */
export function authHeaders(
  dialect: DialectName,
  credential: Secret | null,
  apiVersion: string | null,
): Record<string, string> {
  return {
    ...(dialect === 'anthropic' ? { 'anthropic-version': apiVersion ?? anthropicVersion } : {}),
    ...(credential ? named[dialect](credential) : {}),
  };
}
