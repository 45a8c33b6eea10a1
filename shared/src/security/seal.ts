/**
 * Sealing of secrets at rest: AES-256-GCM under `WAYBILL_MASTER_KEY`.
 *
 * Each value has a data key of its own, wrapped by the master key, so that a random nonce is never used twice
 * under one key and a new master key means rewrapping, not re-encrypting. The context (tenant, id, purpose) is
 * authenticated: a sealed value copied to another row does not open.
 *
 * Layout: version 1 | wrapped data key (12 nonce + 16 tag + 32) | 12 nonce | 16 tag | ciphertext.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const version = 1;
const nonceBytes = 12;
const tagBytes = 16;
const keyBytes = 32;
const boxOverhead = nonceBytes + tagBytes;

export interface Sealer {
  seal(plaintext: string, context: string): Buffer;
  /** @throws Error when the master key, the context or any byte differs. */
  open(sealed: Uint8Array, context: string): string;
}

/** @param masterKey exactly 32 bytes */
export function createSealer(masterKey: Uint8Array): Sealer {
  if (masterKey.length !== keyBytes)
    throw new Error(`Cannot use the master key: expected 32 bytes, received ${masterKey.length}`);
  return {
    seal(plaintext, context) {
      const dataKey = randomBytes(keyBytes);
      const wrapped = box(masterKey, dataKey, context);
      return Buffer.concat([Buffer.from([version]), wrapped, box(dataKey, Buffer.from(plaintext, 'utf8'), context)]);
    },
    open(sealed, context) {
      const bytes = Buffer.from(sealed);
      if (bytes[0] !== version) throw new Error(`Cannot open the sealed value: unknown version ${bytes[0]}`);
      const wrappedEnd = 1 + boxOverhead + keyBytes;
      const dataKey = unbox(masterKey, bytes.subarray(1, wrappedEnd), context);
      return unbox(dataKey, bytes.subarray(wrappedEnd), context).toString('utf8');
    },
  };
}

function box(key: Uint8Array, plaintext: Buffer, context: string): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context, 'utf8'));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), ciphertext]);
}

function unbox(key: Uint8Array, bytes: Buffer, context: string): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
    .setAAD(Buffer.from(context, 'utf8'))
    .setAuthTag(bytes.subarray(nonceBytes, boxOverhead));
  return Buffer.concat([decipher.update(bytes.subarray(boxOverhead)), decipher.final()]);
}
