/**
 * Handing an enrolment over: as the JSON that a peer's code_file wants, or as fields for people and a QR
 * code of that same JSON for devices with a camera.
 */
import { type Command, Option } from "commander";
import type { EnrolmentJson } from "../core/wire/enrolment.ts";
import { ttlOption } from "./options.ts";
import { qrCode } from "./qr_code.ts";
import { printJson, printLine, warnLine } from "./terminal.ts";

export interface EnrolmentOptions {
  /** Milliseconds. */
  readonly ttl: number;
  readonly json?: true;
  /** On a terminal unless said. */
  readonly qr?: boolean;
}

/** `--ttl`, `--json`, `--qr` and `--no-qr` */
export function enrolmentOptions(command: Command): Command {
  return command
    .addOption(ttlOption("how long the code works"))
    .option("--json", "print one JSON object, as the peer's code_file wants it")
    .addOption(new Option("--qr", "print a QR code of that JSON too (default: on a terminal)"))
    .addOption(new Option("--no-qr", "print no QR code"));
}

export function printEnrolment(enrolment: EnrolmentJson, options: EnrolmentOptions): void {
  if (options.json) return printJson(enrolment);
  for (const [key, value] of Object.entries(enrolment)) printLine(`${key.padEnd(10)} ${value}`);
  if (options.qr ?? Deno.stdout.isTerminal()) printQrCode(JSON.stringify(enrolment), options);
  warnLine("the code is a secret and works once; give the whole of it to the peer");
}

function printQrCode(text: string, { qr }: EnrolmentOptions): void {
  const { lines, width } = qrCode(text, { colours: !Deno.noColor });
  if (qr !== true && Deno.consoleSize().columns < width) {
    return warnLine(`the terminal is too narrow for the QR code, which takes ${width} columns`);
  }
  for (const line of lines) printLine(line);
}
