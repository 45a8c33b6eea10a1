/** What the simulated models answer: something of the kind that was asked for, made from the passage itself. */
export function answerText(prompt: string): string {
  const passage = prompt.split('\n\n').at(-1)?.trim() ?? prompt;
  const sentences = passage.split(/(?<=[.!?;])\s+/);
  const lower = prompt.slice(0, 1_500).toLowerCase();
  if (lower.includes('classif'))
    return JSON.stringify({
      topic: 'other',
      tone: 'reflective',
      audience: 'general',
      words: passage.split(/\s+/).length,
    });
  if (lower.includes('extract'))
    return JSON.stringify({
      people: namesIn(passage),
      places: [],
      dates: passage.match(/\b1[5-9]\d\d\b/g) ?? [],
      quantities: [],
    });
  if (lower.includes('translat')) return `[simulated translation] ${passage}`;
  return sentences.slice(0, 2).join(' ').slice(0, 400);
}

function namesIn(text: string): string[] {
  return [...new Set(text.match(/(?<=[a-z,;] )[A-Z][a-z]{2,}(?: [A-Z][a-z]{2,})*/g) ?? [])].slice(0, 8);
}
