/**
 * What every view, docket and remark at the desk promises whoever shows it to people, checked on all that
 * a site offers with each role of the registry, and with all of them: names that make commands, plain and
 * bounded answers to whatever is asked, CodedErrors, and no secret in any of it.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
import { fromBase64url, toBase64, toBase64url, toHex } from "../../core/base/bytes.ts";
import { CodedError } from "../../core/base/errors.ts";
import { parseId } from "../../core/base/id.ts";
import { parseConfig } from "../../core/host/config/mod.ts";
import { definePlugin } from "../../core/host/plugin.ts";
import { startSite } from "../../core/host/site.ts";
import { isApiRole } from "../../core/services/access/mod.ts";
import { bounds, type Desk, type Question, type Row } from "../../core/services/desk.ts";
import { eventTypes } from "../../core/wire/event.ts";
import { askSite } from "../../edge/admin_client.ts";
import { registry } from "../../edge/plugins.ts";
import { httpDoor } from "./_doors.ts";
import { Stranger } from "./_stranger.ts";
import { temporaryFolder } from "./program.ts";

/** What anybody may type behind a command. */
const asked = [
  ...["", " ", "nobody", "m-1", "x ".repeat(bounds.args / 2), "x".repeat(bounds.args + 1)],
  ...["' OR 1=1 --", "%", "../..", "<b>", "__proto__", "\u{202e}\u{0}\n", "\ud800", "🟢 é"],
];
const roles = Object.keys(registry);

for (const names of [...roles.map((role) => [role]), roles]) {
  Deno.test(`the desk of a site with ${names.join(", ")} keeps its promises`, async () => {
    await using test = await openDesk(names);
    const { desk } = test;
    assert.deepEqual(desk.views().slice(0, 2).map(({ name }) => name), ["status", "devices"]);
    const shown: string[] = [];
    for (const { name, summary, needs, show } of desk.views()) {
      assert.match(name, /^[a-z]{1,32}$/);
      assert.match(summary, /^[A-Z][^\n]{9,98}[^\n.]$/, name);
      assert.ok(isApiRole(needs), name);
      for (const args of asked) {
        const sheet = await orRefusal(show(args));
        if (sheet instanceof CodedError) continue;
        const { rows = [], more = 1 } = sheet;
        assert.ok(rows.length <= bounds.rows && more > 0, name);
        for (const row of [sheet, ...rows]) shown.push(...textsOf(row));
      }
      assert.ok(!(await orRefusal(show("")) instanceof CodedError), name);
    }
    for (const { kind, needs, events, pending, decide, outcome } of desk.dockets()) {
      assert.match(kind, /^[a-z]{1,32}$/);
      assert.ok(isApiRole(needs) && needs !== "viewer", kind);
      assert.ok(events.length > 0 && events.every((type) => eventTypes.includes(type)), kind);
      const questions = await pending();
      assert.deepEqual(questions.map(({ asked }) => asked), inOrder(questions), kind);
      for (const question of questions) {
        assert.ok(question.id.length > 0 && question.id.length <= bounds.id, kind);
        shown.push(question.id, ...textsOf(question));
      }
      for (const id of asked) {
        assert.deepEqual(await outcome(id), { verdict: "gone", by: null }, `${kind} ${id}`);
        for (const verdict of ["approve", "deny"] as const) {
          const refusal = await orRefusal(decide(id, verdict, { actor: "telegram:1" }));
          assert.ok(refusal instanceof CodedError, `${kind} ${id}`);
        }
      }
      assert.deepEqual(await pending(), questions, kind);
    }
    for (const { all } of desk.remarks()) {
      for (const facts of (await all()).values()) shown.push(...textsOf({ facts }));
    }

    assert.ok(shown.some((text) => text.includes("m-1")), "the device is shown");
    const secrets = await test.secrets();
    for (const text of shown) {
      assert.doesNotMatch(text, /[\p{C}\p{Zl}\p{Zp}]/u);
      assert.doesNotMatch(text, /^[[{]".*[\]}]$/, "JSON is for programs");
      assert.doesNotMatch(text, /[\w+/=]{40}/, "nothing is as long as a key");
      for (const secret of secrets) assert.ok(!text.includes(secret), text);
    }
  });
}

interface TestDesk extends AsyncDisposable {
  readonly desk: Desk;
  /** What nobody may read, in the spellings that it could have. */
  secrets(): Promise<string[]>;
}

/** A site that knows a device with a code, at whose door another one waits if anybody answers there. */
async function openDesk(names: readonly string[]): Promise<TestDesk> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder()).path;
  let desk: Desk | undefined;
  const clerk = definePlugin({
    ...{ name: "clerk", summary: "Stands at the desk", config: z.object({}) },
    needs: ["peers"],
    start: (host) => void (desk = host.desk),
  });
  const text = `site = "site-1"
    data_dir = "data"
    http.listen = "127.0.0.1:0"
    admin.listen = "127.0.0.1:0"
    mqtt.listen = "127.0.0.1:0"
    peers.join = "open"
    [plugins.clerk]
    ${names.map((name) => `[plugins.${name}]`).join("\n")}`;
  const config = await parseConfig(text, {
    ...{ file: "site.toml", dir: folder },
    registry: { ...registry, clerk: () => Promise.resolve({ default: clerk }) },
  });
  const site = stack.use(await startSite(config, { version: "0" }));
  const { code } = await site.enrol("device", "m-1", { ttl: 60_000 });
  const dataDir = join(folder, "data");
  const made = await askSite(dataDir, "/tokens", { method: "POST", body: { role: "admin" } });
  if (names.includes("fog-aggregator")) {
    const url = `http://127.0.0.1:${site.http!.port}`;
    const doorway = { url, counts: () => Promise.resolve({}) };
    await using door = await httpDoor(doorway, "meter", { id: "m-2", url });
    await new Stranger(parseId("m-2"), door).meet();
    assert.equal((await desk!.dockets()[0]!.pending()).length, 1);
  }
  const kept = stack.move();
  return {
    desk: desk!,
    async secrets() {
      const identity = await Deno.readTextFile(join(dataDir, "identity.key"));
      const keys = Array.from(identity.matchAll(/"([\w-]{43})"/g), ([, key]) => key!);
      assert.equal(keys.length, 3);
      const bytes = [code, ...keys.map(fromBase64url)];
      const { token } = made as { token: string };
      return [token, ...bytes.flatMap((one) => [toHex(one), toBase64(one), toBase64url(one)])];
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** What was thrown on purpose; anything else fails the test. */
async function orRefusal<T>(answer: Promise<T>): Promise<T | CodedError> {
  try {
    return await answer;
  } catch (error) {
    assert.ok(error instanceof CodedError && error.code !== "failed", String(error));
    return error;
  }
}

function textsOf({ title, facts = [] }: Partial<Row>): string[] {
  assert.ok(facts.length <= bounds.facts);
  for (const [label, value] of facts) {
    assert.ok(label !== "" && value !== "" && [...value].length <= bounds.value, label);
  }
  return [...(title === undefined ? [] : [title]), ...facts.flat()];
}

function inOrder(questions: readonly Question[]): number[] {
  return questions.map(({ asked }) => asked).sort((a, b) => a - b);
}
