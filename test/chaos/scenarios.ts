/** All scenarios, in the order in which they run. */
import type { Scenario } from './scenario.ts';
import { breakerScenarios } from './scenarios/breakers.ts';
import { budgetScenarios } from './scenarios/budgets.ts';
import { embeddedFaults } from './scenarios/embedded-faults.ts';
import { failureScenarios } from './scenarios/failing-providers.ts';
import { providerFaults } from './scenarios/provider-faults.ts';
import { rateScenarios } from './scenarios/rate-limits.ts';
import { receiverFaults } from './scenarios/receiver-faults.ts';
import { serverFaults } from './scenarios/server-faults.ts';
import { submitFaults } from './scenarios/submit-faults.ts';
import { workerFaults } from './scenarios/worker-faults.ts';

export const scenarios: readonly Scenario[] = [
  ...workerFaults,
  ...submitFaults,
  ...serverFaults,
  ...providerFaults,
  ...receiverFaults,
  ...embeddedFaults,
  ...rateScenarios,
  ...budgetScenarios,
  ...breakerScenarios,
  ...failureScenarios,
];
