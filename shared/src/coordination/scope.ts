/** The provider a pause's scope belongs to: `model:openai/gpt-4.1-mini` and `credential:openai` -> `openai`. */
import { splitTarget } from '../domain/job.ts';

export function providerOfScope(scope: string): string {
  const name = scope.slice(scope.indexOf(':') + 1);
  return name.includes('/') ? splitTarget(name).provider : name;
}
