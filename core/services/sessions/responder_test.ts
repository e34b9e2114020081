/** How sessions end: of old age, and with the responder. Everything else is in responder_session_test.ts. */
import assert from "node:assert/strict";
import { FrameType } from "../../trust/session/frame.ts";
import { callOf, day, echo, openTestSite, textIn } from "./_test_site.ts";

Deno.test("Responder ends a session after seven days", async () => {
  let now = 0;
  await using site = await openTestSite(() => now);
  const device = await site.approve("m-1");
  const responder = site.responder(echo);
  const session = await device.connect(responder);
  const ask = (text: string) => responder.receive(callOf(session, text), device.id);
  assert.equal(textIn(session, await ask("young")), "young");
  now = 7 * day;
  assert.equal(textIn(session, await ask("old")), "old");
  now++;
  assert.equal((await ask("too old"))?.[1], FrameType.unknown);
  assert.equal(responder.size, 0);
});

Deno.test("Responder lets a session go on that an altered first frame of another would replace", async () => {
  await using site = await openTestSite();
  const device = await site.approve("m-1");
  const responder = site.responder(echo);
  const session = await device.connect(responder);
  await responder.receive(callOf(session, "confirms it"));
  const altered = callOf(await device.connect(responder), "x");
  altered[altered.length - 1]! ^= 1;
  await assert.rejects(responder.receive(altered), { code: "forged" });
  assert.equal(textIn(session, await responder.receive(callOf(session, "still"))), "still");
});

Deno.test("Responder knows no session any more when it is closed", async () => {
  await using site = await openTestSite();
  const device = await site.approve("m-1");
  const responder = site.responder(echo);
  const session = await device.connect(responder);
  responder.close();
  assert.equal(responder.size, 0);
  const reply = await responder.receive(callOf(session, "x"), device.id);
  assert.equal(reply?.[1], FrameType.unknown);
});
