/** `edgeward peers open` and `close`: when devices without a code may ask to be let in. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { instantText } from "../../core/base/when.ts";
import { duration } from "../../core/host/config/mod.ts";
import type { JoinStatus } from "../../core/wire/peer_status.ts";
import { printJson, printLine, warnLine } from "../terminal.ts";
import { peersClient } from "./client.ts";

interface JoinOptions {
  readonly config?: string;
  readonly json?: true;
}

/** @param add makes a command of this name */
export function joinCommands(add: (name: string, description: string) => Command): void {
  const jsonLine = "print a JSON line: whether it is open, and until when";
  add("open", "Let devices without a code apply for a while.")
    .addOption(
      new Option("--for <duration>", "how long, an hour at most").default(300_000, "5m")
        .argParser(joinTime),
    )
    .option("--json", jsonLine)
    .action(open);
  add("close", "Let nobody new apply. Who waits already may still be approved.")
    .option("--json", jsonLine)
    .action(close);
}

/** How long strangers may apply, in words; null when they may not. @param now Unix milliseconds */
export function joinText({ open, until }: JoinStatus, now: number): string | null {
  if (!open) return null;
  const end = until === null ? "" : ` until ${instantText(until, now)}`;
  return `devices without a code may apply${end}`;
}

async function open(options: JoinOptions & { for: number }): Promise<void> {
  const join = await (await peersClient(options.config)).openJoin(options.for);
  if (options.json) return printJson(join);
  printLine(joinText(join, Date.now())!);
  warnLine(
    "hint: one that is switched on now comes at once, one that was on before within 10 minutes; " +
      "`edgeward peers list` shows who waits",
  );
}

async function close({ config, json }: JoinOptions): Promise<void> {
  const join = await (await peersClient(config)).closeJoin();
  if (json) return printJson(join);
  printLine("nobody new may apply; `edgeward admin enrol KIND ID` makes a code for who may come");
}

/** For commander. */
function joinTime(text: string): number {
  const parsed = duration({ min: "1s", max: "1h" }).safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError('expected a duration such as "5m", an hour at most.');
}
