/**
 * Simulated meters without a code, as a person meets them on two terminals: here the meters, which show
 * what a display would show, there the site, which shows the same. It takes the time that a device waits
 * before it asks again. And meters that misbehave: what they say in the end is what their site counted.
 */
import assert from "node:assert/strict";
import { spawn, temporaryFolder } from "./program.ts";
import { decide, refusedDecision, startFogProcess, startOpenFog } from "./_person.ts";
import type { SiteProcess } from "./site_process.ts";
import { eventually } from "./_test_site.ts";

Deno.test("simulated meters without a code wait for a person, and then go on", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const site = stack.use(await startOpenFog(folder.path));
  const { noiseKey } = await site.enrol("other");
  const key = noiseKey.toBase64({ alphabet: "base64url", omitPadding: true });
  const meters = [
    stack.use(simulate(["--url", site.broker])),
    stack.use(simulate(["--url", site.url])),
    stack.use(simulate(["--url", site.broker, "--site-key", key, "--site", "fog-1"])),
  ];
  const decisions: string[][] = [];
  for (const meter of meters) {
    const [, id, shown] = await meter.said(/^edgeward: (\S+) waits for approval: (.+)$/m);
    const waiting = await eventually("it waits", async () => {
      const peers = await site.peers();
      return peers.find((peer) => peer.id === id);
    });
    assert.equal(waiting.state, "pending");
    assert.equal(shown, waiting.words ?? `fingerprint ${waiting.fingerprint}`);
    const { words, fingerprint } = waiting;
    const by = words === null ? ["--fingerprint", fingerprint!] : ["--words", words];
    const wrong = [by[0]!, by[1]!.slice(0, -1)];
    await refusedDecision(site, ["approve", id!, ...wrong], /Nobody who waits/);
    decisions.push(["approve", id!, ...by]);
  }
  for (const decision of decisions) await decide(site, ...decision);
  for (const meter of meters) await meter.said(/^edgeward: (\S+) is let in$/m);
  await eventually("their readings flow", async () => {
    const { "": accepted = 0 } = await site.counts("edgeward_readings_accepted_total");
    // what they measured while they waited included
    return accepted > 3 * 30 || undefined;
  });
});

Deno.test("simulated meters misbehave as they are told, and report what their site counts", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const site = stack.use(await startFogProcess(folder.path));
  const kinds = ["late,duplicate,disorder", "--misbehave", "reset, rollover,replace,gap"];
  const { sent, accepted, refused, steps, misdeeds } = await misbehaving(site, kinds);
  assert.equal(steps, 80);
  assert.deepEqual([sent, accepted, refused], [5 * 80, 5 * 80, 0]);
  // whether a counter starts over depends on how long the run takes
  const { rollover: _, ...others } = misdeeds;
  const expected = ["disorder", "duplicate", "gap", "late", "replace", "reset"];
  assert.deepEqual(Object.keys(others).sort(), expected);
  const { "": stored = 0 } = await site.counts("edgeward_readings_accepted_total");
  const { "": repeated = 0 } = await site.counts("edgeward_readings_duplicate_total");
  assert.equal(stored, accepted);
  assert.ok(repeated >= others["duplicate"]!);
});

Deno.test("simulated meters with wrong clocks end in good order, with what was refused counted", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const site = stack.use(await startFogProcess(folder.path));
  const { sent, accepted, refused, misdeeds } = await misbehaving(site, ["clock"]);
  assert.equal(sent, 5 * 80);
  assert.equal(accepted + refused, sent);
  assert.ok(misdeeds["clock"]! > refused, JSON.stringify(misdeeds));
});

/** Five meters that measure 80 times in 4 seconds; what they print in the end. */
async function misbehaving(site: SiteProcess, kinds: readonly string[]) {
  const pace = ["--count", "5", "--for", "4", "--speed", "1200", "--seed", "3"];
  const args = ["simulate", "meters", "--json", ...pace, "--misbehave", ...kinds];
  const { code, stdout, stderr } = await site.operate(args);
  assert.equal(code, 0, stderr);
  const report: Record<"sent" | "accepted" | "refused" | "steps", number> & {
    misdeeds: Record<string, number>;
  } = JSON.parse(stdout);
  return report;
}

interface SimulatedMeters extends AsyncDisposable {
  /** Waits for a line on standard error. */
  said(line: RegExp): Promise<RegExpExecArray>;
}

/** One meter that measures twice a second until the scope ends. */
function simulate(args: readonly string[]): SimulatedMeters {
  const options = ["--without-code", "--count", "1", "--speed", "120"];
  const child = spawn(["simulate", "meters", ...options, ...args]);
  let text = "";
  const reading = (async () => {
    for await (const part of child.stderr.pipeThrough(new TextDecoderStream())) text += part;
  })();
  return {
    said: (line) =>
      eventually(
        `the meter says ${line}, but: ${text}`,
        () => line.exec(text) ?? undefined,
        90_000,
      ),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
      await reading;
    },
  };
}
