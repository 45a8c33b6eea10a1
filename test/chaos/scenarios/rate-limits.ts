/** Limits of rate over many processes: the provider's own log says whether they held. */
import { answering } from '../behaviour.ts';
import type { Shape } from '../load.ts';
import type { Scenario } from '../scenario.ts';
import { peakIn } from '../windows.ts';

const minuteMs = 60_000;
const rate = { rpm: 60, tpm: 10_000 };

/** Short and long ones; what is asked for is what may come, and less than that comes. */
const sized: Shape = (customId, dice) => {
  const output = dice.between(140, 230);
  const prompt = `tokens ${dice.between(8, 14)}/${dice.between(Math.ceil(0.7 * output), output)} ${customId}`;
  return {
    body: { model: 'default', messages: [{ role: 'user', content: prompt }], max_tokens: output },
    priority: 'bulk',
  };
};

const rateLimits: Scenario = {
  name: 'rate-limits',
  about: 'eight workers share 60 requests and 10,000 tokens a minute',
  stores: ['redis', 'postgres'],
  jobs: 2_000,
  shortJobs: 80,
  settleLimitS: 3_000,
  arena: {
    workers: 8,
    shape: sized,
    configure: ({ providers, chains, ...rest }) => ({
      ...rest,
      providers: { ...providers, a: { ...providers.a, limits: { ...providers.a.limits, ...rate } } },
      chains: { default: { ...chains.default, targets: ['a/m'] } },
    }),
  },
  async run({ provider, load, jobs }) {
    await provider.behave('a', answering(200, 1_500));
    await load.submit(jobs);
    return {};
  },
  check: ({ calls }, { remarks, jobs }) => {
    const requests = calls.map(({ beganAtMs }) => ({ atMs: beganAtMs, amount: 1 }));
    const tokens = calls.map((call) => ({ atMs: call.beganAtMs, amount: call.tokens }));
    const peaks = { rpm: peakIn(requests, minuteMs).amount, tpm: peakIn(tokens, minuteMs).amount };
    const tookMs = (requests.at(-1)?.atMs ?? 0) - (requests[0]?.atMs ?? 0);
    const sum = tokens.reduce((total, { amount }) => total + amount, 0);
    const used = {
      rpm: (jobs / rate.rpm) * (minuteMs / tookMs),
      tpm: (sum / rate.tpm) * (minuteMs / tookMs),
    };
    const most = Math.max(used.rpm, used.tpm);
    const percent = (part: number) => `${(100 * part).toFixed(1)} %`;
    remarks.push(
      `most in any 60 s: ${peaks.rpm} of ${rate.rpm} requests, ${peaks.tpm} of ${rate.tpm} tokens; used: ${percent(used.rpm)} of requests, ${percent(used.tpm)} of tokens, over ${Math.round(tookMs / 1_000)} s`,
    );
    return [
      ...(peaks.rpm > rate.rpm ? [`${peaks.rpm} requests in 60 s, the limit is ${rate.rpm}`] : []),
      ...(peaks.tpm > rate.tpm ? [`${peaks.tpm} tokens in 60 s, the limit is ${rate.tpm}`] : []),
      ...(most < 0.9 ? [`only ${percent(most)} of the limits were used`] : []),
    ];
  },
};

export const rateScenarios: readonly Scenario[] = [rateLimits];
