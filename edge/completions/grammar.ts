/**
 * What may stand where on the command line, read from commander's own tree, in the form that the
 * scripts for the shells are made of. A path is the words that lead to a command, each behind a blank:
 * "" is the program itself, " admin token" a command of a command.
 */
import type { Command, Option } from "commander";

/** What a value may be: one of these words, the name of a file or a folder, or anything. */
export type Value = readonly Word[] | "file" | "folder" | "anything";

export interface Word {
  readonly text: string;
  /** A sentence part, or nothing. */
  readonly summary: string;
}

export interface Flag {
  /** At most two: "-c", "--config". */
  readonly names: readonly string[];
  readonly summary: string;
  /** Null where none follows. */
  readonly value: Value | null;
}

/** One command, and what may follow it. */
export interface Place {
  readonly path: string;
  readonly flags: readonly Flag[];
  /** In their order; the sub-commands of a command are the first. */
  readonly operands: readonly { readonly value: Value; readonly isRepeated: boolean }[];
}

/** Every command of the program, each before its sub-commands. */
export function placesOf(command: Command, path = ""): Place[] {
  const help = command.createHelp();
  const children = help.visibleCommands(command);
  const words = children.map((child): Word => ({
    text: child.name(),
    summary: firstSentence(child.summary() || child.description()),
  }));
  const operands = command.registeredArguments.map((argument) => ({
    value: valueOf(argument.argChoices, argument.name()),
    isRepeated: argument.variadic,
  }));
  const place: Place = {
    path,
    flags: help.visibleOptions(command).map(flagOf),
    operands: words.length > 0 ? [{ value: words, isRepeated: false }] : operands,
  };
  const below = children.flatMap((child) => placesOf(child, `${path} ${child.name()}`));
  return [place, ...below.map((one) => one.path === `${path} help` ? helping(one, words) : one)];
}

/** Commander's own `help [command]` is about the commands beside it, and does not know them. */
function helping(place: Place, beside: readonly Word[]): Place {
  const value = beside.filter(({ text }) => text !== "help");
  return { ...place, operands: [{ value, isRepeated: false }] };
}

function flagOf({ short, long, flags, description, required, optional, argChoices }: Option): Flag {
  return {
    names: [short, long].filter((name) => typeof name === "string"),
    summary: firstSentence(description),
    value: required || optional ? valueOf(argChoices, /[<[](\w+)/.exec(flags)?.[1]) : null,
  };
}

function valueOf(choices: readonly string[] | undefined, name = ""): Value {
  if (choices !== undefined) return choices.map((text) => ({ text, summary: "" }));
  if (/^(file|path|in|out)$/.test(name)) return "file";
  return name === "dir" ? "folder" : "anything";
}

function firstSentence(text: string): string {
  return /^.*?(?=\.( |$)|$)/s.exec(text)![0].replace(/\s+/g, " ");
}
