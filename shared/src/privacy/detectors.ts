/**
 * What a text may hold that should not leave the house, by kind.
 *
 * A detector says yes or no. It never passes on what it found, and takes time in proportion to the text, whatever the
 * text is: the text comes from whoever may call.
 */
import { holdsCreditCard } from './credit-card.ts';
import { holdsEmail } from './email.ts';
import { holdsIban } from './iban.ts';
import { holdsPhone } from './phone.ts';
import { readableForms } from './readable-forms.ts';
import { holdsSecret } from './secret.ts';
import { holdsUsSsn } from './us-ssn.ts';

export const detectorKinds = ['email', 'phone', 'iban', 'credit_card', 'us_ssn', 'secret'] as const;
export type DetectorKind = (typeof detectorKinds)[number];

const detectors: Readonly<Record<DetectorKind, (text: string) => boolean>> = {
  email: holdsEmail,
  phone: holdsPhone,
  iban: holdsIban,
  credit_card: holdsCreditCard,
  us_ssn: holdsUsSsn,
  secret: holdsSecret,
};

/** Those of `kinds` that the text holds, in its own form or in the one its reader sees. */
export function kindsInText(text: string, kinds: readonly DetectorKind[]): DetectorKind[] {
  const forms = readableForms(text);
  return kinds.filter((kind) => forms.some((form) => detectors[kind](form)));
}
