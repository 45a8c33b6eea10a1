/** A secret as it comes in: checked without a word of it in what is said. */

import { Problem } from '@waybill/shared/domain/problem.ts';
import { Secret } from '@waybill/shared/security/secret.ts';

const maxLength = 4_096;

/** @throws Problem `unknown_field invalid_type unusable_secret` */
export function secretOf(body: Record<string, unknown>): Secret {
  // By hand: a schema's message quotes the unknown field, and somebody may have put the secret there.
  if (Object.keys(body).some((name) => name !== 'secret'))
    throw new Problem('unknown_field', 'Cannot store the credential: the body takes one field, "secret"');
  const { secret } = body;
  if (typeof secret !== 'string')
    throw new Problem('invalid_type', 'Cannot store the credential: secret must be a text', { param: 'secret' });
  const fault = faultOf(secret);
  if (fault !== null)
    throw new Problem('unusable_secret', `Cannot store the credential: its secret ${fault}`, { param: 'secret' });
  return new Secret(secret);
}

/** null: it can be sent in a header, and is no slip of a shell or an editor. */
export function faultOf(secret: string): string | null {
  if (secret.trim() === '') return 'is empty';
  if (secret.length > maxLength) return `is longer than ${maxLength} characters`;
  if (/^(["'`]).*\1$/s.test(secret.trim())) return 'is wrapped in quotes; send it without them';
  if (/\s/.test(secret)) return 'holds a space or a line break; send it without';
  if (!/^[\x21-\x7e]+$/.test(secret)) return 'holds a character that cannot be sent in a header';
  return null;
}
