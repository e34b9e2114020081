/**
 * `deno task bench [NAME...] [--json] [--quick]`: measures figures beside their floors; "rpc" means all
 * that begin with "rpc.". A table on standard output, or with `--json` one line per figure; what is under way goes to standard error.
 * Exit status: 0 all measured, 1 one failed, 2 usage.
 */
import { parseArgs } from "node:util";
import { messageOf } from "../../core/base/errors.ts";
import { cloudBenches } from "./cloud.ts";
import type { Bench, Figure } from "./figure.ts";
import { fogBenches } from "./fog.ts";
import { hostBenches } from "./host.ts";
import { logBenches } from "./log.ts";
import { rpcBenches } from "./rpc.ts";
import { sessionBenches } from "./session.ts";
import { shareBenches } from "./share.ts";

const benches: Readonly<Record<string, Bench>> = {
  ...sessionBenches,
  ...fogBenches,
  ...cloudBenches,
  ...logBenches,
  ...shareBenches,
  ...rpcBenches,
  ...hostBenches,
};

Deno.exitCode = await main(Deno.args);

async function main(args: string[]): Promise<number> {
  const { names, json, quick, complaint } = parse(args);
  if (complaint !== undefined) {
    console.error(`bench: error: ${complaint}`);
    console.error(`bench: hint: the figures are ${Object.keys(benches).join(", ")}`);
    return 2;
  }
  let failures = 0;
  if (!json) console.log(rowOf(["figure", "value", "unit", "reference", "ratio", ""]));
  for (const name of names) {
    const note = (text: string) => console.error(`${name}: ${text}`);
    try {
      const figure = await benches[name]!({ quick, note });
      if (figure === null) continue;
      console.log(json ? JSON.stringify(rounded(figure)) : rowOf(cells(rounded(figure))));
    } catch (error) {
      failures++;
      note(`error: ${messageOf(error)}`);
    }
  }
  return failures === 0 ? 0 : 1;
}

function parse(args: string[]) {
  const options = { json: { type: "boolean" }, quick: { type: "boolean" } } as const;
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const chosen = positionals.map(namesOf);
    const unknown = positionals.find((_, i) => chosen[i]!.length === 0);
    return {
      names: positionals.length === 0 ? Object.keys(benches) : [...new Set(chosen.flat())],
      json: values.json ?? false,
      quick: values.quick ?? false,
      complaint: unknown === undefined ? undefined : `there is no figure "${unknown}"`,
    };
  } catch (error) {
    return { names: [], json: false, quick: false, complaint: messageOf(error) };
  }
}

/** The figure of this name, and all below it. */
function namesOf(name: string): string[] {
  return Object.keys(benches).filter((one) => one === name || one.startsWith(`${name}.`));
}

/** The members in one order, with four digits: more than the noise leaves. */
function rounded({ name, value, unit, floor, peer, ratio, of }: Figure): Figure {
  const digits = (number: number) => Number(number.toPrecision(4));
  return {
    name,
    value: digits(value),
    unit,
    ...(floor !== undefined && { floor: digits(floor) }),
    ...(peer !== undefined && { peer: digits(peer) }),
    ...(ratio !== undefined && { ratio: digits(ratio) }),
    ...(of !== undefined && { of }),
  };
}

function cells({ name, value, unit, floor, peer, ratio, of }: Figure): string[] {
  const reference = floor ?? peer;
  return [name, `${value}`, unit, `${reference ?? "-"}`, `${ratio ?? "-"}`, of ?? ""];
}

function rowOf([name, value, unit, reference, ratio, of]: string[]): string {
  const left = `${name!.padEnd(20)} ${value!.padStart(9)} ${unit!.padEnd(13)}`;
  return `${left} ${reference!.padStart(9)} ${ratio!.padStart(8)}  ${of}`.trimEnd();
}
