/** The gateways that may be called: read from their codes, each with one channel. */
import assert from "node:assert/strict";
import { toBase64url } from "../../core/base/bytes.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import type { Channel, Remote } from "../../core/services/sessions/mod.ts";
import { gatewaysOf } from "./gateways.ts";

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("gateways come in their order, and what is of no use is named with the reason", async () => {
  await withFolder(async (folder) => {
    const dialled: Remote[] = [];
    const sessions = {
      dial(remote: Remote, purpose: string) {
        assert.equal(purpose, "share");
        dialled.push(remote);
        return { remote } as unknown as Channel;
      },
    };
    const files = ["b", "missing", "a", "broken", "again", "self"].map((name) => ({
      code_file: `${folder}/${name}.json`,
    }));
    const write = (name: string, site: string, port = 9) =>
      Deno.writeTextFile(
        `${folder}/${name}.json`,
        JSON.stringify({
          ...{ code: "A".repeat(22), site, url: `http://127.0.0.1:${port}` },
          noise_key: toBase64url(new Uint8Array(32).fill(site.length)),
          expires: new Date(0).toISOString(),
        }),
      );
    for (const [name, site] of [["b", "gw-b"], ["a", "gw-a"], ["again", "gw-b"], ["self", "me"]]) {
      await write(name!, site!);
    }
    await Deno.writeTextFile(`${folder}/broken.json`, "no code");
    const host = { site: "me", sessions } as unknown as Pick<Host & Services, "site" | "sessions">;
    const gateways = gatewaysOf(host, { gateways: files });
    const first = gateways.read();
    assert.deepEqual(first.gateways.map(({ id }) => id), ["gw-b", "gw-a"]);
    const unusable = first.unusable.map(({ file, why }) => `${file.split("/").at(-1)} ${why}`);
    assert.equal(unusable.length, 4);
    assert.match(unusable[0]!, /^missing\.json .*No such file|no such file/);
    assert.match(unusable[1]!, /^broken\.json Cannot read the enrolment code/);
    assert.match(unusable[2]!, /^again\.json a second code of "gw-b"/);
    assert.match(unusable[3]!, /^self\.json it is a code of this site itself/);

    const second = gateways.read();
    assert.equal(second.gateways[0]!.channel, first.gateways[0]!.channel);
    assert.equal(dialled.length, 2);
    await write("a", "gw-a", 10);
    assert.notEqual(gateways.read().gateways[1]!.channel, first.gateways[1]!.channel);
    assert.equal(dialled.length, 3);
  });
});
