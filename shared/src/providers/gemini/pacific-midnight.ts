/** When a day of Google's quotas ends: at midnight Pacific time, in summer and in winter. */
const calendar = new Intl.DateTimeFormat('en-US', {
  timeZone: 'America/Los_Angeles',
  hourCycle: 'h23',
  year: 'numeric',
  month: 'numeric',
  day: 'numeric',
  hour: 'numeric',
});

const hourMs = 3_600_000;

export function nextPacificMidnightMs(nowMs: number): number {
  const today = pacific(nowMs);
  // Summer time is 7 hours behind UTC, winter time 8; neither begins nor ends at midnight.
  const inSummer = Date.UTC(today.year, today.month - 1, today.day + 1, 7);
  return pacific(inSummer).hour === 0 ? inSummer : inSummer + hourMs;
}

function pacific(atMs: number): Readonly<Record<'year' | 'month' | 'day' | 'hour', number>> {
  const parts = calendar.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]);
  return Object.fromEntries(parts) as Record<'year' | 'month' | 'day' | 'hour', number>;
}
