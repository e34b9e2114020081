/**
 * Where log lines go: standard error, one line each; text for people on a terminal, JSON for a
 * machine. Whatever has the name or the form of a secret is removed at the sink, whoever put it there.
 */
import { configure, type LogLevel, type LogRecord } from "@logtape/logtape";
import { redacted } from "./redaction.ts";

const encoder = new TextEncoder();

/** Configures the process's logging, once. */
export async function configureLogging(
  options: { level: LogLevel; json?: boolean },
): Promise<void> {
  const json = options.json ?? !Deno.stderr.isTerminal();
  const sink = (record: LogRecord) =>
    void Deno.stderr.writeSync(encoder.encode(lineOf(record, { json })));
  await configure({
    reset: true,
    sinks: { stderr: sink },
    loggers: [
      { category: "edgeward", lowestLevel: options.level, sinks: ["stderr"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["stderr"] },
    ],
  });
}

/** One record as one line, without secrets. */
export function lineOf(record: LogRecord, { json }: { json: boolean }): string {
  const { timestamp, level, category } = record;
  const [, site = "", part = ""] = category;
  const time = new Date(timestamp).toISOString();
  const message = record.message.map(shown).join("");
  const properties = redacted(record.properties) as Readonly<Record<string, unknown>>;
  if (json) return JSON.stringify({ time, level, site, part, message, ...properties }) + "\n";
  const details = Object.entries(properties).map(([name, value]) => ` ${name}=${quoted(value)}`);
  return `${time} ${level.toUpperCase()} ${site} ${part}: ${message}${details.join("")}\n`;
}

/** A piece of a message: its own text, or a value that was put into it. */
function shown(piece: unknown): string {
  const safe = redacted(piece);
  return typeof safe === "string" ? safe : JSON.stringify(safe);
}

function quoted(value: unknown): string {
  return typeof value === "string" && /^[\w.:/-]+$/.test(value) ? value : JSON.stringify(value);
}
