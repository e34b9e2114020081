/** Secrets of roles on a whole site: kept apart, and sealed anew when the site's key is rotated. */
import assert from "node:assert/strict";
import { utf8 } from "../base/bytes.ts";
import { ask, fake, socketIn, startFakes, temporaryFolder } from "./_fakes.ts";
import type { Host, Services } from "./plugin.ts";

Deno.test("a role has secrets of its own, and a rotation of the site's key reaches them", async () => {
  await using folder = await temporaryFolder();
  const hosts = new Map<string, Host & Services>();
  const roles = ["one", "other"].map((name) =>
    fake(name, (host) => void hosts.set(name, host), { needs: ["db"] })
  );
  const start = () => startFakes(roles, { folder: folder.path });
  const get = (role: string, name: string) => {
    const { db, secrets } = hosts.get(role)!;
    return db.read((q) => secrets.get(q, name));
  };
  {
    await using _site = await start();
    for (const [role, { db, secrets }] of hosts) {
      await db.write((tx) => secrets.put(tx, "key", utf8(`of ${role}`)));
    }
    const rotated = await ask(socketIn(folder.path), "/sealing-key/rotate", { method: "POST" });
    assert.deepEqual(JSON.parse(rotated.text), { version: 2, resealed: 2 });
    assert.deepEqual(await get("one", "key"), utf8("of one"));
  }
  await using _site = await start();
  assert.deepEqual(await get("one", "key"), utf8("of one"));
  assert.deepEqual(await get("other", "key"), utf8("of other"));
});

Deno.test("a role learns where peers reach the site, once it listens", async () => {
  await using folder = await temporaryFolder();
  const hosts: Host[] = [];
  const role = fake("one", (host) => void hosts.push(host), { needs: ["http"] });
  await using site = await startFakes([role], { folder: folder.path });
  const { hostname, port } = site.http!;
  assert.equal(await hosts[0]!.urlFor("device"), `http://${hostname}:${port}`);
});

Deno.test("what a role registers while it runs is undone too, when it stops", async () => {
  await using folder = await temporaryFolder();
  const hosts: Host[] = [];
  const seen: string[] = [];
  const role = fake("one", (host) => {
    hosts.push(host);
    host.defer(() => void seen.push("early"));
  });
  const site = await startFakes([role], { folder: folder.path });
  hosts[0]!.defer(() => void seen.push("late"));
  assert.deepEqual(seen, []);
  await site[Symbol.asyncDispose]();
  assert.deepEqual(seen, ["late", "early"]);
});
