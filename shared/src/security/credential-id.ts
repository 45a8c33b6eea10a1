/**
 * What a credential is called where it is paused: its name, and a mark of its secret.
 *
 * The mark changes with the secret, so that a fresh one is not taken for the refused one. It is 32 bits of a hash: too
 * few to find a secret by, enough to tell two apart.
 */
import { createHash } from 'node:crypto';
import type { Secret } from './secret.ts';

/** A credential as it is named outside of this process: the id changes with the secret. */
export interface CredentialRef {
  readonly id: string;
  readonly account: string;
}

/** Asked for several times in every attempt. */
const marks = new WeakMap<Secret, string>();

export function credentialId(name: string, secret: Secret): string {
  let mark = marks.get(secret);
  if (mark === undefined) {
    mark = createHash('sha256').update(`waybill ${secret.reveal()}`).digest('hex').slice(0, 8);
    marks.set(secret, mark);
  }
  return `${name}#${mark}`;
}
