/**
 * API keys of ours: `wb_<id>_<secret><checksum>`.
 *
 * The id finds the row, a SHA-256 of the secret is compared in constant time (43 random characters need no slow
 * hash), and the checksum refuses typing errors and other vendors' keys without a query.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';

const form = /^wb_([0-9a-f]{16})_([A-Za-z0-9_-]{43})([0-9a-f]{8})$/;

export interface NewApiKey {
  readonly id: string;
  /** Shown once, stored nowhere. */
  readonly text: string;
  readonly hash: Buffer;
}

export function createApiKey(random: (size: number) => Buffer = randomBytes): NewApiKey {
  const id = random(8).toString('hex');
  const secret = random(32).toString('base64url');
  return { id: `key_${id}`, text: `wb_${id}_${secret}${checksum(id, secret)}`, hash: hashOf(secret) };
}

/** The row to look up and the hash to compare, or null for anything that cannot be a key of ours. */
export function parseApiKey(text: string): { id: string; hash: Buffer } | null {
  const match = form.exec(text);
  if (!match?.[1] || !match[2] || match[3] !== checksum(match[1], match[2])) return null;
  return { id: `key_${match[1]}`, hash: hashOf(match[2]) };
}

export function hashesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest();
const checksum = (id: string, secret: string): string => crc32(`${id}.${secret}`).toString(16).padStart(8, '0');
