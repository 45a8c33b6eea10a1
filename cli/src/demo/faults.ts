/** Which fault a simulated provider shows, at set rates. Pure: the random number comes in. */
export type Fault = 'rate_limit' | 'server_error' | 'overloaded' | 'hang' | 'cut';

export type FaultRates = Readonly<Record<Fault, number>>;

/** null: answer well. */
export function chooseFault(rates: FaultRates, random: number): Fault | null {
  let edge = 0;
  for (const [fault, rate] of Object.entries(rates) as [Fault, number][]) {
    edge += rate;
    if (random < edge) return fault;
  }
  return null;
}

/** The first provider of the chain is in trouble, the others less so. */
export const demoRates: Readonly<Record<'openai' | 'anthropic' | 'ollama', FaultRates>> = {
  openai: { rate_limit: 0.01, server_error: 0.2, overloaded: 0.02, hang: 0.03, cut: 0.05 },
  anthropic: { rate_limit: 0.01, server_error: 0.04, overloaded: 0.02, hang: 0.01, cut: 0.01 },
  ollama: { rate_limit: 0, server_error: 0.02, overloaded: 0, hang: 0, cut: 0.01 },
};
