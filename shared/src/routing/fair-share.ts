/**
 * Which waiting jobs of many tenants go next into one target's window. Pure: the memory between two calls is a value.
 *
 * Deficit round robin. Every tenant has one account in tokens, over all its classes. A pick costs its estimate; whoever
 * is out of debt is served, one job a turn, in the order of the names. Once nobody of the class is, everybody is paid
 * the same per weight: just enough that the first of the class is out of debt. That is the smallest quantum that serves
 * anybody, and as many rounds of a smaller one at once. So nobody is served in bursts, nothing is left over when the
 * room ends in the middle of a round, and a great job costs no more steps than a small one.
 *
 * The bound: of two tenants i and j that always have work of one class and none of another, over any run of
 * consecutive picks without a correction,
 *
 *     | tokens i / weight i - tokens j / weight j |  <=  largest job i / weight i + largest job j / weight j
 *
 * Only the service of i moves the difference i - j up. At that moment i is exactly out of debt and j is not beyond it,
 * so afterwards i leads by at most this one job; and the same the other way round. The difference stays between two
 * fixed ends, and no run of picks moves it by more than their distance.
 *
 * Nobody is paid beyond zero, so waiting and idling earn nothing, and a newcomer, who starts at zero, is served within
 * one turn of the others and does not overtake them afterwards. A payment in one class reaches the other classes too:
 * else a tenant alone in one would be forgiven there what it owes to its neighbours in another.
 *
 * A pick costs a handful of steps, or a few passes over the tenants when it needs a payment.
 */

export interface WaitingJob {
  readonly id: string;
  /** 0 interactive, 1 normal, 2 bulk. */
  readonly priority: number;
  /** The estimate; less than one counts as one. */
  readonly tokens: number;
  readonly waitedMs: number;
}

/**
 * A tenant's jobs that are due for the target, each class in the order it will be served (the caller sorted them:
 * retries and fallbacks first, then oldest first). As many of each class as there is room are enough.
 */
export interface TenantLine {
  readonly tenant: string;
  /** Above zero: twice the weight, twice the tokens. */
  readonly weight: number;
  readonly jobs: readonly WaitingJob[];
}

/** What one dispatcher remembers of one target between rounds. Losing it costs a moment of fairness, nothing else. */
export interface ShareState {
  /** Tokens a tenant is ahead (negative: a debt) or behind (positive: it was charged too much). Missing: zero. */
  readonly deficits: ReadonlyMap<string, number>;
  /** By class, the tenant served last; the turn goes on after it. Empty: none yet. */
  readonly turn: readonly string[];
  /** Picks that have gone past an aged class since the last one it got. */
  readonly agedCredit: number;
  /** The class that got the last pick of an aged one; null: none yet. */
  readonly lastAged: number | null;
}

export interface ShareInput {
  readonly state: ShareState;
  readonly lines: readonly TenantLine[];
  /** Free entries of the window. */
  readonly room: number;
  /**
   * Of these, the last ones kept for interactive jobs: the others get at most `room - reserved`. The caller takes off
   * the interactive entries the window holds already; else, with a full window, the other classes would get nothing.
   */
  readonly reserved: number;
}

export interface Share {
  /** Ids in the order of dispatch. */
  readonly picked: readonly string[];
  readonly state: ShareState;
}

/** A class whose oldest head has waited this long is aged. */
export const agedAfterMs = 30_000;
/**
 * Of so many picks one goes to an aged class while a higher one has work. Two aged classes take turns, so the head
 * whose turn it is in its class goes within `agedEvery` picks for every aged class.
 */
export const agedEvery = 10;

export const freshShare: ShareState = { deficits: new Map(), turn: ['', '', ''], agedCredit: 0, lastAged: null };

/** Debts of tenants without jobs that are remembered. More would let passing tenants fill the memory. */
const mostAbsent = 1_000;
/** What a tenant may gain from corrections, in jobs of the size of its next one: it would go ahead in a burst. */
const mostCredit = 10;
/** Tokens. An account that was paid off may miss zero by a rounding error, and no payment is small enough for that. */
const dust = 1e-6;

interface Account {
  readonly weight: number;
  balance: number;
  /** Tokens per weight of the payment under way. */
  due: number;
}
interface Line {
  readonly tenant: string;
  readonly account: Account;
  readonly jobs: readonly WaitingJob[];
  next: number;
}
/** One class: its tenants in the order of their names. */
interface Lane {
  readonly priority: number;
  lines: Line[];
  /** Whose turn it is: an index into `lines`. */
  at: number;
  served: string;
  waiting: number;
  /** The longest wait of a head; null: to be found anew. */
  oldestMs: number | null;
}
interface Ageing {
  credit: number;
  last: number | null;
}

export function shareOut({ state, lines, room, reserved }: ShareInput): Share {
  const present = lines.filter(({ jobs }) => jobs.length > 0).sort((a, b) => (a.tenant < b.tenant ? -1 : 1));
  const accounts = openAccounts(state.deficits, present);
  const lanes = state.turn.map((served, priority) => openLane(priority, served, present, accounts));
  const ageing = { credit: state.agedCredit, last: state.lastAged };
  const payable = [...accounts.values()];
  const picked: string[] = [];
  let openRoom = room - Math.max(0, reserved);
  while (picked.length < room) {
    const usable = lanes.filter(({ waiting, priority }) => waiting > 0 && (priority === 0 || openRoom >= 1));
    const lane = chooseLane(usable, ageing);
    if (lane === undefined) break;
    picked.push(take(lane, lanes, payable));
    if (lane.priority > 0) openRoom -= 1;
  }
  const deficits = new Map([...accounts].map(([tenant, { balance }]) => [tenant, balance] as const));
  const turn = lanes.map(({ served }) => served);
  return { picked, state: { deficits, turn, agedCredit: ageing.credit, lastAged: ageing.last } };
}

/**
 * Corrects a tenant's account after the fact: what an attempt really used minus its estimate, or an entry that was
 * added outside of the dispatcher. `tokens` below zero give back; a tenant without jobs keeps nothing of that.
 */
export function charge(state: ShareState, tenant: string, tokens: number): ShareState {
  if (!Number.isFinite(tokens)) return state;
  const balance = within((state.deficits.get(tenant) ?? 0) - tokens, -mostTokens, mostTokens);
  return { ...state, deficits: new Map(state.deficits).set(tenant, balance) };
}

// Far beyond what is real. One infinite estimate would make every account after it meaningless.
const mostTokens = 1e12;
const within = (value: number, least: number, most: number) => (value > least ? Math.min(value, most) : least);
const sizeOf = ({ tokens }: WaitingJob) => within(tokens, 1, mostTokens / 1_000);
const weightOf = ({ weight }: TenantLine) => within(weight, 1e-3, 1e6);
const laneOf = ({ priority }: WaitingJob) => (priority < 1 ? 0 : priority < 2 ? 1 : 2);
const hasJobs = ({ jobs, next }: Line) => next < jobs.length;

/**
 * The accounts of the tenants with jobs, and the debts of those without: forgotten, they would favour whoever sends one
 * job at a time. An absent tenant is paid as the lightest one present, since its own weight is not known; that is slow
 * at worst, and on its return it pays at its own. When nobody has jobs, nobody is owed anything.
 */
function openAccounts(deficits: ReadonlyMap<string, number>, present: readonly TenantLine[]): Map<string, Account> {
  if (present.length === 0) return new Map();
  const tenants = new Set(present.map(({ tenant }) => tenant));
  const weight = present.reduce((least, line) => Math.min(least, weightOf(line)), Number.POSITIVE_INFINITY);
  const absent = [...deficits].filter(([tenant, balance]) => !tenants.has(tenant) && balance < -dust);
  // The last ones of the map are those whose jobs ran out most recently.
  const accounts = new Map<string, Account>();
  for (const [tenant, balance] of absent.slice(-mostAbsent)) accounts.set(tenant, { weight, balance, due: 0 });
  for (const line of present) {
    const credit = mostCredit * sizeOf(line.jobs[0] as WaitingJob);
    const balance = Math.min(deficits.get(line.tenant) ?? 0, credit);
    accounts.set(line.tenant, { weight: weightOf(line), balance, due: 0 });
  }
  return accounts;
}

function openLane(
  priority: number,
  served: string,
  present: readonly TenantLine[],
  accounts: ReadonlyMap<string, Account>,
): Lane {
  const lines = present
    .map(({ tenant, jobs }) => ({
      ...{ tenant, account: accounts.get(tenant) as Account, next: 0 },
      jobs: jobs.filter((job) => laneOf(job) === priority),
    }))
    .filter(hasJobs);
  const after = lines.findIndex(({ tenant }) => tenant > served);
  const waiting = lines.reduce((sum, { jobs }) => sum + jobs.length, 0);
  return { priority, served, lines, at: Math.max(0, after), waiting, oldestMs: null };
}

/** The highest class, or one that waits below it, aged, and whose turn has come. */
function chooseLane([highest, ...lower]: readonly Lane[], ageing: Ageing): Lane | undefined {
  const aged = lower.filter((lane) => oldestMs(lane) >= agedAfterMs);
  const [one, other] = aged.sort((a, b) => oldestMs(b) - oldestMs(a));
  if (one === undefined) return highest;
  if (ageing.credit < agedEvery - 1) {
    ageing.credit += 1;
    return highest;
  }
  const lane = one.priority === ageing.last && other !== undefined ? other : one;
  ageing.credit = 0;
  ageing.last = lane.priority;
  return lane;
}

function oldestMs(lane: Lane): number {
  lane.oldestMs ??= lane.lines
    .filter(hasJobs)
    .reduce((most, { jobs, next }) => Math.max(most, (jobs[next] as WaitingJob).waitedMs), 0);
  return lane.oldestMs;
}

/** Takes the next job out of a lane that has one, and answers its id. */
function take(lane: Lane, lanes: readonly Lane[], payable: readonly Account[]): string {
  let line = nextLine(lane);
  while (line === undefined) {
    pay(lane, lanes, payable);
    line = nextLine(lane);
  }
  const job = line.jobs[line.next] as WaitingJob;
  line.account.balance -= sizeOf(job);
  line.next += 1;
  lane.waiting -= 1;
  lane.served = line.tenant;
  lane.oldestMs = null;
  return job.id;
}

/** The first line out of debt, from the turn on around; the turn moves past it. */
function nextLine(lane: Lane): Line | undefined {
  const { lines, at } = lane;
  for (let step = 0; step < lines.length; step += 1) {
    const index = (at + step) % lines.length;
    const line = lines[index] as Line;
    if (line.account.balance < -dust || !hasJobs(line)) continue;
    lane.at = (index + 1) % lines.length;
    return line;
  }
  return undefined;
}

/**
 * Pays everybody the same per weight, until the first of the lane is out of debt. A class with a tenant that is nearer
 * to zero gets only so much, all of it alike: its tenants keep their distances, and so their shares, whatever the
 * other classes do.
 */
function pay(lane: Lane, lanes: readonly Lane[], payable: readonly Account[]): void {
  dropEmptyLines(lane);
  const perWeight = leastDebt(lane);
  for (const account of payable) account.due = perWeight;
  for (const other of lanes) {
    const most = leastDebt(other);
    if (most >= perWeight) continue;
    for (const line of other.lines) if (hasJobs(line)) line.account.due = Math.min(line.account.due, most);
  }
  for (const { account } of lane.lines) account.due = perWeight;
  for (const account of payable) {
    if (account.balance < 0) account.balance = Math.min(0, account.balance + account.due * account.weight);
  }
}

/** Tokens per weight that bring the first line with jobs out of debt. */
function leastDebt({ lines }: Lane): number {
  let least = Number.POSITIVE_INFINITY;
  for (const line of lines) {
    if (hasJobs(line)) least = Math.min(least, Math.max(0, -line.account.balance / line.account.weight));
  }
  return least;
}

/** Once a payment, not once a job: it is a pass over the lane. */
function dropEmptyLines(lane: Lane): void {
  const passed = lane.lines.slice(0, lane.at).filter(hasJobs).length;
  lane.lines = lane.lines.filter(hasJobs);
  lane.at = passed % lane.lines.length;
}
