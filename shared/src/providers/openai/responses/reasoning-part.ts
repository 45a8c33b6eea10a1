/** What we keep of a reasoning item, so that the next turn can give it back where it stood. */
export interface ReasoningPart {
  /** As the model sent it, encrypted: nobody keeps it there for us. */
  readonly item: Readonly<Record<string, unknown>>;
  /** The tool call that follows it, by its id; null: the message. */
  readonly before: string | null;
}
