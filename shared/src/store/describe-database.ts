/** Where the database is, without what must stay secret. No driver is loaded for it. */
export function describeDatabase(url: string): string {
  try {
    const { hostname, port, pathname } = new URL(url);
    return `postgres://${hostname}${port === '' ? '' : `:${port}`}${pathname}`;
  } catch {
    return 'the database of DATABASE_URL';
  }
}
