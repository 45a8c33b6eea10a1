/** Query parameters: known names, once each, strings only. */
import { Problem } from '@waybill/shared/domain/problem.ts';
import { nearestHint } from '@waybill/shared/domain/strict-object.ts';
import type { Request } from 'express';

const maxParameters = 50;

/** @param known names; one that ends with `.` admits every name that begins with it */
export function strictQuery(request: Request, known: readonly string[]): Record<string, string> {
  const search = request.originalUrl.includes('?')
    ? request.originalUrl.slice(request.originalUrl.indexOf('?') + 1)
    : '';
  const out: Record<string, string> = {};
  let count = 0;
  for (const [name, value] of new URLSearchParams(search)) {
    count += 1;
    const fail = (why: string) =>
      new Problem('invalid_query', `Cannot read the query: ${why}`, { param: name.slice(0, 64) });
    if (count > maxParameters) throw fail(`more than ${maxParameters} parameters`);
    const isKnown = known.some((each) => (each.endsWith('.') ? name.startsWith(each) && name !== each : name === each));
    if (!isKnown) {
      throw fail(`unknown parameter "${name.slice(0, 64)}"${nearestHint(name, known)}`);
    }
    // The database takes no NUL in any text.
    if (`${name}${value}`.includes('\u0000')) throw fail(`"${name.slice(0, 64)}" holds a NUL character`);
    if (out[name] !== undefined) throw fail(`"${name.slice(0, 64)}" stands in it twice`);
    out[name] = value;
  }
  return out;
}
