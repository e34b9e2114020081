/** What the running site says of itself: how its parts are, and who waits at its door. */
import type { Finding } from "../plugin.ts";
import type { Patient } from "./_probe.ts";

export async function* site({ running }: Patient): AsyncIterable<Finding> {
  if (running === "mute") return;
  if (running === null) return yield { state: "ok", what: "does not run" };
  yield running.ready
    ? { state: "ok", what: "runs, and is ready" }
    : { state: "failed", what: "runs, and is not ready", hint: "the log of the site says more" };
  for (const { part, state, detail } of running.parts) {
    if (state === "ok") continue;
    yield {
      state: state === "failed" ? state : "degraded",
      what: `${part} ${state}${detail === "" ? "" : `: ${detail}`}`,
    };
  }
}

export async function* peers({ running }: Patient): AsyncIterable<Finding> {
  if (running === null || running === "mute" || running.peers === null) return;
  const { waiting } = running.peers;
  yield waiting === 0 ? { state: "ok", what: "nobody waits to be let in" } : {
    state: "degraded",
    what: `${waiting} ${waiting === 1 ? "waits" : "wait"} to be let in`,
    hint: "`edgeward peers list` shows who, and how to let them in",
  };
}
