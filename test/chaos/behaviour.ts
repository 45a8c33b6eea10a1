/** What the fakes can be told to do, and what they write down: shared by them and by whoever steers and reads them. */

export type ProviderMode =
  /** Answers after a while; a share of the answers are errors. */
  | 'answer'
  /** Accepts, and never answers. */
  | 'blackhole'
  /** Answers a byte per second. */
  | 'drip'
  /** Ends the connection in the middle of the body. */
  | 'cut'
  /** Does not listen, and ends what is open. */
  | 'refuse';

export interface ProviderBehaviour {
  readonly mode: ProviderMode;
  readonly latencyMs: readonly [low: number, high: number];
  readonly errorShare: number;
  readonly errorStatuses: readonly number[];
  /** What else than a status a failing call may be; then each kind of failure is as likely as its share of the list. */
  readonly faults?: readonly FaultName[];
}

/** One for each kind of failure that is retried, or goes elsewhere, without a pause of credential, model or provider. */
export const faultNames = [
  'rate_limit',
  'exceeds_limit',
  'overloaded',
  'capacity_tier',
  'server_error',
  'timeout',
  'network',
  'stream_interrupted',
  'model_loading',
  'context_length',
  'too_large',
  'unsupported_feature',
  'bad_output',
  'unknown',
] as const;
export type FaultName = (typeof faultNames)[number];

export const answering = (low: number, high: number, more: Partial<ProviderBehaviour> = {}): ProviderBehaviour => ({
  mode: 'answer',
  latencyMs: [low, high],
  errorShare: 0,
  errorStatuses: [429, 500, 503],
  ...more,
});

/** The fake provider plays three, so that a fallback has somewhere to go. */
export const providerNames = ['a', 'b', 'c'] as const;
export type ProviderName = (typeof providerNames)[number];

/** A prompt that begins so is never answered: whoever calls with it is to be killed. */
export const poisonMark = 'poison';

export interface CallEvent {
  readonly t: number;
  readonly event: 'begin' | 'end' | 'aborted';
  /** Numbers the calls of this provider process. */
  readonly call: number;
  readonly provider: ProviderName;
  readonly prompt: string;
  /** What the call is billed. */
  readonly tokens: number;
  /** Calls open at this provider, after the event. */
  readonly open: number;
  /** Of an `end`. */
  readonly status?: number;
}

export interface PromptTokens {
  readonly input: number;
  readonly output: number;
}

/** A prompt that begins with `tokens 40/120` is billed so; any other as a long one. */
export function tokensOf(prompt: string): PromptTokens {
  const [, input, output] = /^tokens (\d+)\/(\d+) /.exec(prompt) ?? [];
  return { input: Number(input ?? 1_000), output: Number(output ?? 500) };
}

/** What the provider says to a prompt, so that an answer that went to another job is noticed. */
export const answerTo = (prompt: string): string => `An answer to ${prompt.split(' ').at(-1)}.`;

export type ReceiverMode = 'ok' | 'down' | 'slow' | 'redirecting' | 'error';

export interface DeliveryEvent {
  readonly t: number;
  /** `trap`: somebody followed a redirect. */
  readonly event: 'delivery' | 'trap';
  readonly webhookId: string;
  readonly type: string;
  readonly jobId: string;
  readonly isVerified: boolean;
  readonly mode: ReceiverMode;
  /** What it answered; null: nothing in time. */
  readonly status: number | null;
}
