/** What the Bot API answers instead of a result: a status, a description, sometimes what to do. */

export class BotApiRefusal extends Error {
  override readonly name = "BotApiRefusal";
  readonly status: number;
  readonly parameters: Readonly<Record<string, number>> | undefined;

  constructor(status: number, description: string, parameters?: Readonly<Record<string, number>>) {
    super(description);
    this.status = status;
    this.parameters = parameters;
  }
}

/** A request that is wrong, in Telegram's words for it. */
export function badRequest(what: string): BotApiRefusal {
  return new BotApiRefusal(400, `Bad Request: ${what}`);
}
