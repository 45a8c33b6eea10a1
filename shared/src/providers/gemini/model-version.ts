/** What the name of a model says about it, where Gemini's generations want different requests. */

/** `models/gemini-2.5-flash` -> `gemini-2.5-flash`. */
export const bareModel = (model: string): string => model.replace(/^models\//, '');

/** `models/gemini-2.5-flash`; a tuned model has a folder of its own. */
export const modelPath = (model: string): string =>
  model.startsWith('tunedModels/') ? model : `models/${bareModel(model)}`;

/** 2.5, 3, 3.1 …; a name without a number (`gemini-flash-latest`) follows the newest; 0 for other families. */
export function versionOf(model: string): number {
  const name = bareModel(model);
  const number = /^gemini-(\d+(?:\.\d+)?)/.exec(name)?.[1];
  if (number !== undefined) return Number(number);
  return name.startsWith('gemini-') ? Number.POSITIVE_INFINITY : 0;
}

/** From here on calls must come back signed, and thinking has levels. */
export const signsCalls = (model: string): boolean => versionOf(model) >= 3;
