/**
 * Where log lines go: standard error, one line each; text for people on a terminal, JSON for a
 * machine. Fields named like secrets are removed at the sink, whatever put them there.
 */
import { configure, type LogLevel, type LogRecord } from "@logtape/logtape";
import { redactByField } from "@logtape/redaction";

const encoder = new TextEncoder();

/** Configures the process's logging, once. */
export async function configureLogging(
  options: { level: LogLevel; json?: boolean },
): Promise<void> {
  const format = options.json ?? !Deno.stderr.isTerminal() ? asJson : asText;
  const sink = redactByField(
    (record: LogRecord) => void Deno.stderr.writeSync(encoder.encode(format(record))),
    { fieldPatterns: [/pass(word|phrase)?/i, /secret/i, /token/i, /psk/i, /^code$/i, /_?key$/i] },
  );
  await configure({
    reset: true,
    sinks: { stderr: sink },
    loggers: [
      { category: "edgeward", lowestLevel: options.level, sinks: ["stderr"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["stderr"] },
    ],
  });
}

function asText({ timestamp, level, category, message, properties }: LogRecord): string {
  const [, site = "", part = ""] = category;
  const details = Object.entries(properties).map(([key, value]) => ` ${key}=${shown(value)}`);
  const time = new Date(timestamp).toISOString();
  return `${time} ${level.toUpperCase()} ${site} ${part}: ${message.join("")}${details.join("")}\n`;
}

function asJson({ timestamp, level, category, message, properties }: LogRecord): string {
  const [, site = "", part = ""] = category;
  const time = new Date(timestamp).toISOString();
  const details = Object.fromEntries(
    Object.entries(properties).map(([key, value]) => [key, plain(value)]),
  );
  return JSON.stringify({ time, level, site, part, message: message.join(""), ...details }) + "\n";
}

function shown(value: unknown): string {
  const simple = plain(value);
  return typeof simple === "string" && /^[\w.:/-]+$/.test(simple) ? simple : JSON.stringify(simple);
}

/** Errors as what they say: their stacks and causes may quote values. */
function plain(value: unknown): unknown {
  return value instanceof Error ? `${value.name}: ${value.message}` : value;
}
