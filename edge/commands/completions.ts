/** `edgeward completions SHELL`: a script that teaches the shell all commands, from their own tree. */
import type { Command } from "commander";
import { CodedError } from "../../core/base/errors.ts";
import { bashScript } from "../completions/bash.ts";
import { fishScript } from "../completions/fish.ts";
import { placesOf } from "../completions/grammar.ts";
import { zshScript } from "../completions/zsh.ts";
import { argumentOf } from "../options.ts";
import { printLine } from "../terminal.ts";

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript };
const shells = Object.keys(scripts);

const usage = `
bash   source <(edgeward completions bash)                     in ~/.bashrc
zsh    source <(edgeward completions zsh)                      in ~/.zshrc, after compinit
fish   edgeward completions fish > ~/.config/fish/completions/edgeward.fish`;

/** Expects every other command of the program to be configured as well. */
export function configure(command: Command): void {
  command.description("Print a script with which a shell completes what is typed.")
    .addArgument(argumentOf("<shell>", "for which", shells))
    .addHelpText("after", usage)
    .action((shell: string) => {
      if (!Object.hasOwn(scripts, shell)) {
        throw new CodedError("usage", `Cannot complete for the shell "${shell}"`, {
          hint: `shells are ${shells.join(", ")}`,
        });
      }
      const places = placesOf(command.parent!);
      printLine(scripts[shell as keyof typeof scripts](places).trimEnd());
    });
}
