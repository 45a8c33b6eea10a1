import { describe, expect, test } from 'vitest';
import { belongsInLedger, costOfCall, costOfUsage, type EndedCall, type PriceContext } from './cost.ts';

const usage = {
  inputTokens: 1_000,
  outputTokens: 500,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  reasoningTokens: 0,
  audioInputTokens: 0,
  audioOutputTokens: 0,
};
const context: PriceContext = {
  pricesAs: 'openai',
  isLocal: false,
  configured: null,
  requestedModel: 'gpt-4.1-mini',
  responseModel: null,
  at: new Date('2026-11-21T00:00:00Z'),
  configVersion: 'v7',
};
const configured = { inputPerMillion: 1_000_000_000n, outputPerMillion: 0n };
const short = ({ nano, basis, reason }: ReturnType<typeof costOfUsage>) => [nano, basis, reason];

describe('the cost of reported usage', () => {
  test.for<[string, Partial<PriceContext>, unknown[]]>([
    ['follows the table', {}, [1_200_000n, 'computed', null]],
    ['follows the model that answered', { responseModel: 'gpt-4.1' }, [6_000_000n, 'computed', null]],
    ['follows the model asked for when the other is unknown', { responseModel: 'x' }, [1_200_000n, 'computed', null]],
    ['follows the configuration before the table', { configured }, [1_000_000n, 'computed', null]],
    ['follows the configuration of a local model too', { configured, isLocal: true }, [1_000_000n, 'computed', null]],
    ['is nothing on a local server', { isLocal: true, pricesAs: null }, [0n, 'free', null]],
    ['is unknown without a price table', { pricesAs: null }, [null, 'unpriced', 'no_price']],
    ['is unknown for an unknown model', { requestedModel: 'x' }, [null, 'unpriced', 'no_price']],
    ['is unknown for two unknown models', { requestedModel: 'x', responseModel: 'y' }, [null, 'unpriced', 'no_price']],
  ])('%s', ([, change, expected]) => {
    expect(short(costOfUsage(usage, { ...context, ...change }))).toEqual(expected);
  });

  test.for<[string, Partial<PriceContext>, string | undefined, string | undefined]>([
    ['configuration', { configured }, 'configuration', 'v7'],
    ['price table', {}, 'genai-prices', '0.1.8'],
    ['local server', { isLocal: true }, 'local', 'v7'],
    ['nothing when there is no price', { pricesAs: null }, undefined, undefined],
  ])('names its source: %s', ([, change, source, version]) => {
    const { price } = costOfUsage(usage, { ...context, ...change });
    expect([price?.source, price?.version]).toEqual([source, version]);
  });
});

describe('the cost of a call', () => {
  const call: EndedCall = { failure: null, usage: null, isSent: true, isRefused: false, isStopped: false };
  test.for<[string, Partial<EndedCall>, Partial<PriceContext>, unknown[]]>([
    ['is that of its usage', { usage }, {}, [1_200_000n, 'computed', null]],
    [
      'is that of its usage though it broke',
      { usage, failure: 'stream_interrupted' },
      {},
      [1_200_000n, 'computed', null],
    ],
    [
      'is that of its usage though the body held an error',
      { usage, isRefused: true },
      {},
      [1_200_000n, 'computed', null],
    ],
    ['is nothing when no byte was sent', { failure: 'network', isSent: false }, {}, [0n, 'none', null]],
    ['is nothing when the provider refused', { failure: 'rate_limit', isRefused: true }, {}, [0n, 'none', null]],
    ['is nothing when a stopped call was never sent', { isSent: false, isStopped: true }, {}, [0n, 'none', null]],
    ['is nothing when a local server broke', { failure: 'timeout' }, { isLocal: true }, [0n, 'free', null]],
    ['is unknown when we stopped it', { isStopped: true }, {}, [null, 'unknown', 'aborted']],
    ['is unknown when an answer came without usage', {}, {}, [null, 'unpriced', 'no_usage']],
    ['is unknown after a timeout', { failure: 'timeout' }, {}, [null, 'unknown', 'timeout']],
    ['is unknown after a cut stream', { failure: 'stream_interrupted' }, {}, [null, 'unknown', 'stream_interrupted']],
    ['is unknown when the connection was lost', { failure: 'network' }, {}, [null, 'unknown', 'connection_lost']],
    ['is unknown for a useless answer without usage', { failure: 'bad_output' }, {}, [null, 'unknown', 'no_usage']],
  ])('%s', ([, change, where, expected]) => {
    expect(short(costOfCall({ ...call, ...change }, { ...context, ...where }))).toEqual(expected);
  });

  test.for([
    ['a computed one', { usage }, true],
    ['an unknown one', { failure: 'timeout' }, true],
    ['none for a refused call', { failure: 'rate_limit', isRefused: true }, false],
  ] as const)('makes a ledger row: %s', ([, change, expected]) => {
    expect(belongsInLedger(costOfCall({ ...call, ...change }, context))).toBe(expected);
  });
});

describe('a price that cannot be computed leaves the cost unknown, and throws nothing', () => {
  test('for usage that does not add up', () => {
    expect(short(costOfUsage({ ...usage, cacheReadTokens: 9_999 }, context))).toEqual([
      null,
      'unpriced',
      'price_fault',
    ]);
  });
  test('for a sum that no ledger holds', () => {
    const dear = { inputPerMillion: 10n ** 18n, outputPerMillion: 0n };
    expect(short(costOfUsage({ ...usage, inputTokens: 1_000_000_000 }, { ...context, configured: dear }))).toEqual([
      null,
      'unpriced',
      'price_fault',
    ]);
  });
});
