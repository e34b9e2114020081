/** What strangers hear over HTTP: whoever has to wait and whoever may not apply hear the same. */
import assert from "node:assert/strict";
import type { Hono } from "hono";
import { frameVersion } from "../../trust/session/frame.ts";
import { Initiator, zeroPsk } from "../../trust/session/handshake.ts";
import type { RoleRouter } from "../http/mod.ts";
import { serveHttp } from "./_http_binding.ts";
import { device, FakeSite, suite } from "./_site.ts";

const echo = (call: Uint8Array) => Promise.resolve(call);

Deno.test("serveHttp() tells a stranger who may not apply no more than one who waits", async () => {
  const answers = [];
  for (const isClosed of [false, true]) {
    const site = new FakeSite(echo, () => 0, { mayApply: () => !isClosed });
    let routes: Hono | undefined;
    const router: Pick<RoleRouter, "claim"> = {
      claim: (_path, claimed) => routes = claimed as unknown as Hono,
    };
    const { responder } = site;
    serveHttp(router as RoleRouter, { responder, sharing: [responder] });
    const { message1 } = new Initiator(suite, {
      hello: { purpose: "meter", site: site.id, device, versions: [frameVersion] },
      staticKey: suite.x25519.keyPair(),
      remoteStatic: site.staticKey.publicKey,
      psk: zeroPsk,
      clock: () => 0,
    });
    const response = await routes!.request("/", { method: "POST", body: message1.slice() });
    const { status, headers } = response;
    answers.push([status, [...headers], await response.text()]);
    assert.deepEqual(Object.keys(await site.refused()), [isClosed ? "not_invited" : "pending"]);
  }
  assert.deepEqual(answers[0], answers[1]);
  assert.deepEqual(answers[0]!.slice(0, 2), [202, [["retry-after", "30"]]]);
});
