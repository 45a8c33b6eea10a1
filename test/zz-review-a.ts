import { priceByTable, priceByConfiguration } from '@waybill/shared/pricing/price.ts';
const u = (o: any) => ({ inputTokens: 10, outputTokens: 10, cacheReadTokens: 0, cacheWriteTokens: 0, cacheWrite1hTokens: 0, reasoningTokens: 0, ...o });
for (const [p, m] of [['openai', 'gpt-4.1-mini'], ['anthropic', 'claude-haiku-4-5'], ['groq','llama-3.3-70b-versatile'], ['openrouter','anthropic/claude-3.5-sonnet']] as const)
  for (const o of [{}, { cacheWriteTokens: 50 }, { cacheReadTokens: 10, cacheWriteTokens: 5 }, { cacheWrite1hTokens: 20 , cacheWriteTokens: 5}, { inputTokens: 9e15, outputTokens: 9e15 }, {inputTokens: 0}]) {
    try { console.log(p, JSON.stringify(o), String(priceByTable(u(o), p, m, new Date())?.nano)); } catch (e) { console.log(p, JSON.stringify(o), 'THROWS', (e as Error).message); }
  }
