/** Names of peers, whole and short. */
import assert from "node:assert/strict";
import type { PeerStatus } from "../../core/wire/peer_status.ts";
import { nameText, parseName } from "./name.ts";

const known = [["meter", "m-1"], ["meter", "m-1"], ["meter", "both"], ["fog", "both"]] as const;
const peers = () => Promise.resolve(known.map(([kind, id]) => ({ kind, id }) as PeerStatus));

Deno.test("parseName() takes a name in full as it is, known or not", async () => {
  const unasked = () => Promise.reject(new Error("there was nothing to ask"));
  for (const text of ["meter/m-1", "device/nobody"]) {
    assert.equal(nameText(await parseName(text, unasked)), text);
  }
  for (const text of ["toaster/m-1", "/m-1", "Meter/m-1"]) {
    await assert.rejects(parseName(text, unasked), { code: "usage" });
  }
  for (const text of ["meter/", "meter/a/b", "meter/a b", "meter/.."]) {
    await assert.rejects(parseName(text, unasked), { code: "id_invalid" });
  }
});

Deno.test("parseName() finds the kind where only one has the id", async () => {
  assert.equal(nameText(await parseName("m-1", peers)), "meter/m-1");
  await assert.rejects(parseName("both", peers), {
    code: "usage",
    hint: "write the kind too: meter/both or fog/both",
  });
  await assert.rejects(parseName("nobody", peers), { code: "peer_unknown" });
  await assert.rejects(parseName("..", peers), { code: "id_invalid" });
});
