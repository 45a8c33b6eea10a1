/**
 * Makes a string from outside storable.
 *
 * PostgreSQL refuses NUL in `text`, and its JSON types refuse lone surrogates; a provider's answer or a user's
 * name may hold either. Payloads are stored as JSON text, where both are escaped and survive; every other string
 * from outside passes here, and loses only what no reader could have shown.
 */
export function cleanText(value: string, maxLength = 2_000): string {
  const text = value.replaceAll('\u0000', '').toWellFormed();
  return text.length <= maxLength ? text : `${text.slice(0, maxLength - 1).toWellFormed()}…`;
}
