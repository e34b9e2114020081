/** Tests of what roles demand of each other. */
import assert from "node:assert/strict";
import { z } from "zod";
import { definePlugin } from "../plugin.ts";
import { head, parsed, plain, refused, registryOf } from "./_fakes.ts";

Deno.test("parseConfig() sorts roles by after, then as the file has them", async () => {
  const registry = registryOf(
    plain("a", { after: ["d", "absent"] }),
    plain("b"),
    plain("c", { after: ["b"] }),
    plain("d"),
    plain("off"),
  );
  const text = `${head}[plugins.c]\n[plugins.a]\n[plugins.d]\n[plugins.b]\n`;
  const { roles } = await parsed(text, { registry });
  assert.deepEqual(roles.map(({ plugin }) => plugin.name), ["d", "a", "b", "c"]);
});

Deno.test("parseConfig() names the roles that wait for each other", async () => {
  const registry = registryOf(
    plain("a", { after: ["b"] }),
    plain("b", { after: ["c"] }),
    plain("c", { after: ["b"] }),
  );
  const text = `${head}[plugins.a]\n[plugins.b]\n[plugins.c]\n`;
  const error = await refused(text, { registry });
  assert.equal(
    error.message,
    'site.toml:4:1: roles wait for each other to start: "b" after "c" after "b"',
  );
  await parsed(`${head}[plugins.a]\n[plugins.b]\n`, { registry });
  const own = await refused(`${head}[plugins.a]`, {
    registry: registryOf(plain("a", { after: ["a"] })),
  });
  assert.match(own.message, /"a" after "a"$/);
});

Deno.test("parseConfig() refuses two roles that claim one path, at the second one's table", async () => {
  const pairs: [string, string, boolean][] = [
    ["/summary", "/summary", true],
    ["/summary", "/summary/", true],
    ["/api/v1/*", "/api/v1/ota", true],
    ["/rec/{kid}", "/rec/x", true],
    ["/summary", "/summaries", false],
    ["/api/v1", "/api/v2", false],
  ];
  for (const [first, second, isClash] of pairs) {
    const registry = registryOf(
      plain("a", { claims: ["/x", first] }),
      plain("b", { claims: [second, "/y"] }),
    );
    const text = `${head}[plugins.b]\n\n[plugins.a]\n`;
    if (!isClash) {
      await parsed(text, { registry });
      continue;
    }
    const { message } = await refused(text, { registry });
    assert.equal(
      message,
      `site.toml:5:1: roles "b" and "a" both claim the path "${first}"`,
    );
  }
});

Deno.test("parseConfig() counts claims that a configuration asks for, and none that it does not", async () => {
  const faces = definePlugin({
    name: "faces",
    summary: "Serves what it is asked to.",
    config: z.object({ on: z.boolean().default(false) }),
    claimsOf: ({ on }) => on ? ["/status"] : [],
    start() {},
  });
  const registry = registryOf(faces, plain("b", { claims: ["/status"] }));
  await parsed(`${head}[plugins.faces]\n[plugins.b]\n`, { registry });
  const { message } = await refused(`${head}[plugins.faces]\non = true\n[plugins.b]\n`, {
    registry,
  });
  assert.match(message, /roles "faces" and "b" both claim the path "\/status"$/);
});
