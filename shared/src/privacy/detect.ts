/** What a job's request holds that its tenant wants kept in the house, and which labels follow from it. */
import type { JobBody } from '../routing/request-needs.ts';
import { contentStrings, type UnreadFiles } from './content-strings.ts';
import { type DetectorKind, kindsInText } from './detectors.ts';

/**
 * Reads the whole request for the kinds asked for, and names those it holds, sorted, each once.
 *
 * Never returns, throws or logs what was found. Fails closed: when the request cannot be read to its end, for whatever
 * reason, every kind asked for counts as found. A document that is not text, such as a PDF, is such a reason, unless
 * `unreadFiles` lets it pass; pictures and sound are none.
 */
export function detectIn(
  body: JobBody,
  kinds: readonly DetectorKind[],
  unreadFiles: UnreadFiles = 'found',
): DetectorKind[] {
  const asked = [...new Set(kinds)].sort();
  try {
    const found = new Set<DetectorKind>();
    for (const text of contentStrings(body.request, unreadFiles)) {
      for (const kind of kindsInText(text, missing(asked, found))) found.add(kind);
      if (found.size === asked.length) break;
    }
    return asked.filter((kind) => found.has(kind));
  } catch {
    return asked;
  }
}

const missing = (asked: readonly DetectorKind[], found: ReadonlySet<DetectorKind>): DetectorKind[] =>
  found.size === 0 ? [...asked] : asked.filter((kind) => !found.has(kind));

/** What the configuration asks of a job's targets when its request holds something. */
export interface DetectionPolicy {
  readonly detect: readonly DetectorKind[];
  /** Labels, such as `local`. */
  readonly require: readonly string[];
}

/** The labels that findings add to what the job itself requires; none without a finding. */
export const requiredLabels = (found: readonly DetectorKind[], policy: DetectionPolicy): readonly string[] =>
  found.length === 0 ? [] : policy.require;
