/**
 * Email addresses, of any script. Each `@` is looked at from both sides; the stretches between two of them are read at
 * most twice, and no further than an address may reach.
 */
import { urlPassword, urlUser } from './url-password.ts';

/** RFC 5321: the part before the `@`, and the name of the host. */
const maxLocal = 64;
const maxDomain = 253;

const localEnd = /(?:[\p{L}\p{N}\p{M}!#$%&'*+/=?^_`{|}~.-]+|"[^"\r\n]+")$/u;
const letterOrDigit = /[\p{L}\p{N}]/u;
const domainStart = /^[\p{L}\p{Nd}\p{M}.-]+/u;
const addressLiteral = /^\[(?:\d{1,3}(?:\.\d{1,3}){3}|IPv6:[0-9a-f:.]{2,45})\]/i;
const label = /^[\p{L}\p{Nd}\p{M}](?:[\p{L}\p{Nd}\p{M}-]{0,61}[\p{L}\p{Nd}\p{M}])?$/u;
/** The last label may be followed by a dash that belongs to the sentence, but by no digit. */
const topLevel = /^(?:xn--[a-z0-9]{2,59}|[\p{L}\p{M}]{2,63})(?![\p{L}\p{Nd}\p{M}])/iu;

/** What follows a dot in file names such as `logo@2x.png`, and in versions such as `pkg@1.beta`; none is a domain. */
const noTopLevel = new Set(
  'png jpg jpeg gif svg webp avif bmp ico css scss js mjs cjs ts tsx jsx json html htm xml yaml yml txt pdf alpha beta rc'.split(
    ' ',
  ),
);

export function holdsEmail(text: string): boolean {
  for (let at = text.indexOf('@'); at !== -1; at = text.indexOf('@', at + 1)) {
    if (isAddress(text, at)) return true;
  }
  return false;
}

function isAddress(text: string, at: number): boolean {
  const after = text.slice(at + 1, at + 2 + maxDomain);
  if (!addressLiteral.test(after) && !startsWithDomain(after)) return false;
  const before = text.slice(reachStart(text, at), at);
  const local = localEnd.exec(before)?.[0].slice(-maxLocal);
  if (local === undefined || !letterOrDigit.test(local)) return false;
  return !isSshAddress(local, after) && !endsInUrlPassword.test(before);
}

/** At most what an address may need, and not beyond another `@`, which would be read again from there. */
function reachStart(text: string, at: number): number {
  const first = Math.max(0, at - 2 * maxLocal);
  return at === 0 ? 0 : Math.max(first, text.lastIndexOf('@', at - 1) + 1);
}

function startsWithDomain(after: string): boolean {
  const run = domainStart.exec(after)?.[0];
  if (run === undefined) return false;
  const labels = run.split('.');
  for (let n = 0; n < labels.length; n += 1) {
    const each = labels[n] ?? '';
    const top = n > 0 ? topLevel.exec(each)?.[0] : undefined;
    if (top !== undefined && !noTopLevel.has(top.toLowerCase())) return true;
    if (!label.test(each)) return false;
  }
  return false;
}

/** `git@github.com:owner/repository` names a server, not a person. */
const isSshAddress = (local: string, after: string): boolean =>
  /(?<![\p{L}\p{N}._+-])git$/u.test(local) && /^[\p{L}\p{N}.-]+[:/]/u.test(after);

/** JSON may escape it, and JSON in JSON its escape. */
const slash = '\\\\{0,8}/';
/** `scheme://user:password@host` is a secret, which its own detector finds; `{…}` stands for one. */
const endsInUrlPassword = new RegExp(
  `:${slash}${slash}${urlUser}*:(?:${urlPassword}+|\\$?\\{{1,2}[\\w.:-]{1,64}\\}{1,2})$`,
);
