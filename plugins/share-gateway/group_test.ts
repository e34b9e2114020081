/** The group at rest: its two locks, and what a start does with what the one before has left. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { utf8 } from "../../core/base/bytes.ts";
import { openGroup } from "./group.ts";
import {
  eventually,
  requireGroup,
  settled,
  type TestGateway,
  withGateways,
} from "./_test_gateway.ts";

async function found(gateways: readonly TestGateway[]): Promise<void> {
  await gateways[0]!.ceremony.plan({ group: "home", k: 1 }, "site");
  assert.equal((await gateways[0]!.deal()).state, "done");
  await settled(gateways);
  await requireGroup(gateways, { k: 1 });
}

Deno.test("chain() gives the signed rosters above an epoch, as they were first stored", async () => {
  await withGateways(2, async (gateways) => {
    const { group, host } = gateways[1]!;
    assert.deepEqual(await group.chain(0), []);
    await found(gateways);
    const [signed, ...more] = await group.chain(0);
    assert.deepEqual(more, []);
    assert.deepEqual(await group.chain(1), []);
    const stored = await host.db.read((q) =>
      q.all<{ signed: ArrayBuffer }>(sql`SELECT signed FROM share_gateway_rosters`)
    );
    assert.deepEqual(signed, new Uint8Array(stored[0]!.signed));
  });
});

Deno.test("a gateway without its seal_key_file waits for it, and takes no other in its place", async () => {
  await withGateways(2, async (gateways, folder) => {
    const [, gateway] = gateways as [TestGateway, TestGateway];
    const file = `${folder}/seal.key`;
    await Deno.writeFile(file, utf8("the bytes of a key, at least sixteen"));
    await gateway.stop();
    gateway.table = `seal_key_file = "${file}"`;
    await gateway.start();
    await found(gateways);
    await gateway.restart();
    await requireGroup(gateways, { k: 1 });

    const waits = async (why: RegExp) => {
      await gateway.restart();
      await eventually("the role says why it waits", async () => {
        const { json } = await gateway.ask("GET", "/site");
        const { parts } = json as { parts: { part: string; state: string; detail: string }[] };
        const { state, detail } = parts.find(({ part }) => part === "share-gateway")!;
        return state === "degraded" && why.test(detail);
      });
    };
    await Deno.rename(file, `${file}.away`);
    await waits(/^waiting: Cannot read seal_key_file/);
    await Deno.writeFile(file, utf8("the bytes of another key, also long"));
    await waits(/^waiting: .*seal_key_file is another/);
    await Deno.remove(file);
    gateway.table = "";
    await waits(/^waiting: .*needs seal_key_file/);
    gateway.table = `seal_key_file = "${file}"`;
    await Deno.rename(`${file}.away`, file);
    await gateway.restart();
    await requireGroup(gateways, { k: 1 });
  });
});

Deno.test("a share that was kept before there was a seal_key_file is wrapped at the next start", async () => {
  await withGateways(2, async (gateways, folder) => {
    const [, gateway] = gateways as [TestGateway, TestGateway];
    await found(gateways);
    const { share } = gateway.group.current()!;
    const before = share.reveal().slice();
    const kept = () =>
      gateway.host.db.read(async (q) => await gateway.host.secrets.get(q, "share/1"));
    assert.equal((await kept())![0], 0);
    gateway.table = `seal_key_file = "${folder}/seal.key"`;
    await Deno.writeFile(`${folder}/seal.key`, new Uint8Array(32).fill(5));
    await gateway.restart();
    assert.equal((await kept())![0], 1);
    assert.deepEqual(gateway.group.current()!.share.reveal(), before);
    await gateway.restart();
    await requireGroup(gateways, { k: 1 });
  });
});

Deno.test("an altered share is not used, nor a roster without a share", async () => {
  await withGateways(2, async (gateways) => {
    await found(gateways);
    const { host } = gateways[1]!;
    const { db, secrets } = host;
    await db.write(async (tx) => {
      const share = (await secrets.get(tx, "share/1"))!;
      share[5]! ^= 1;
      await secrets.put(tx, "share/1", share);
    });
    await assert.rejects(openGroup(host, {}), { name: "ShareError", code: "bad_share" });
    await db.write((tx) => secrets.delete(tx, "share/1"));
    await assert.rejects(openGroup(host, {}), /no share of its epoch/);
  });
});
