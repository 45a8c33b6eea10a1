/** The one function of `pg` without a declaration that the embedded store needs, to send parameters as `pg` does. */
declare module 'pg/lib/utils.js' {
  export function prepareValue(value: unknown): unknown;
}
