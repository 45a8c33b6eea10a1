/**
 * `scheme://user:password@host`, as a URL may have it: other signs are percent-encoded there. A quote, a comma or a `?`
 * ends the address of a server with a port, and what follows up to the next `@` is something else.
 */

/** Class of characters of the name before the colon. */
export const urlUser = '[\\w.~%!$*+=^-]';
/** Class of characters of what stands between the colon and the `@`. */
export const urlPassword = '[\\w.~%!$*+=^:-]';
