/** What `edgeward share requests` shows, and which commands there are. */
import assert from "node:assert/strict";
import { Command } from "commander";
import { configureRequests, type RequestStatus, requestTable } from "./requests.ts";

const now = Date.parse("2026-01-14T12:00:00Z");
const pending: RequestStatus = {
  ...{ id: "abcdefgh", device: "kiosk-7", volume: "00112233445566778899aabbccddeeff", boot: 12 },
  ...{ scheme: "voprf", seal: false, state: "pending", decided_by: null },
  ...{ asked: "2026-01-14T11:57:00.000Z", expires: "2026-01-14T12:07:00.000Z" },
};

Deno.test("requestTable() shows who waits for what, and what was decided by whom", () => {
  const approved: RequestStatus = {
    ...pending,
    ...{ id: "22222222", device: "k", seal: true, state: "approved", decided_by: "token:7" },
  };
  assert.deepEqual(requestTable([pending, { ...pending, seal: true }, approved], now), [
    "REQUEST   DEVICE   VOLUME                            STATE",
    "abcdefgh  kiosk-7  00112233445566778899aabbccddeeff  pending   start 12 wants to open it, since 3 min",
    "abcdefgh  kiosk-7  00112233445566778899aabbccddeeff  pending   start 12 wants to seal it, since 3 min",
    "22222222  k        00112233445566778899aabbccddeeff  approved  by token:7, for 7 min more",
  ]);
  assert.equal(requestTable([], now).length, 1);
});

Deno.test("configureRequests() adds four commands, and refuses a name that is none", async () => {
  const command = new Command("share").exitOverride();
  configureRequests(command);
  assert.deepEqual(command.commands.map((one) => one.name()), [
    ...["requests", "approve", "deny", "clear"],
  ]);
  for (const name of ["", "ABCDEFGH", "abcdefg", "../group", "abcdefg1"]) {
    await assert.rejects(command.parseAsync(["approve", name], { from: "user" }), {
      code: "usage",
    });
  }
});
