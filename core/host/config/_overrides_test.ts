/** Tests of the environment: what a variable may set, and that no message shows its value. */
import assert from "node:assert/strict";
import { z } from "zod";
import { fog, head, parsed, plain, refused, registryOf } from "./_fakes.ts";

const table = `${head}[plugins.fog-meter]\ncloud = "https://a.example"\n`;

Deno.test("an override wins over the file and over a default", async () => {
  const config = await parsed(table, {
    env: {
      EDGEWARD_SITE: "roof-2",
      EDGEWARD_HTTP__LISTEN: "[::1]:0",
      EDGEWARD_PLUGINS__FOG_METER__CLOUD: "https://b.example",
      EDGEWARD_PLUGINS__FOG_METER__WINDOW: "30s",
      EDGEWARD_PLUGINS__FOG_METER__RETRY__SPOOL_DIR: "waiting",
      HOME: "/root",
    },
  });
  assert.equal(config.site, "roof-2");
  assert.deepEqual(config.http, { listen: { hostname: "::1", port: 0 } });
  const role = config.roles[0]!.config as Record<string, unknown>;
  assert.equal(role["cloud"], "https://b.example");
  assert.equal(role["window"], 30_000);
  assert.deepEqual(role["retry"], { tries: 3, spool_dir: "/etc/edgeward/waiting" });
});

Deno.test("an override is read as TOML, else as a string", async () => {
  const keys = {
    CHATS: ["[1, 2]", "chats", [1, 2]],
    SHARE: ["0.25", "share", 0.25],
    DRY_RUN: ["true", "dry_run", true],
    LABEL: ["7", "label", "7"],
    LIMIT: ["none", "limit", "none"],
    RETRY: ["{ tries = 9 }", "retry", { tries: 9, spool_dir: "/etc/edgeward/spool" }],
    TARIFFS: ["{ day = 31 }", "tariffs", { day: 31 }],
    CODE_FILE: ['"quoted"', "code_file", "/etc/edgeward/quoted"],
  } as const;
  for (const [name, [text, key, value]] of Object.entries(keys)) {
    const { roles } = await parsed(table, {
      env: { [`EDGEWARD_PLUGINS__FOG_METER__${name}`]: text },
    });
    assert.deepEqual((roles[0]!.config as Record<string, unknown>)[key], value);
  }
});

Deno.test("a value cannot smuggle in another key", async () => {
  const text = '5\nsite = "b"';
  const env = { EDGEWARD_PLUGINS__FOG_METER__LABEL: text };
  const { site, roles } = await parsed(table, { env });
  assert.equal(site, "kiosk-7");
  assert.equal((roles[0]!.config as { label: string }).label, text);
});

Deno.test("an override of a role's key switches the role on", async () => {
  const env = { EDGEWARD_PLUGINS__FOG_METER__CLOUD: "https://a.example" };
  const registry = registryOf(plain("other"), fog);
  const { roles } = await parsed(`${head}[plugins.other]`, { env, registry });
  assert.deepEqual(roles.map(({ plugin }) => plugin.name), ["other", "fog-meter"]);
  const bare = await parsed(head, { env: { EDGEWARD_PLUGINS__OTHER: "{}" }, registry });
  assert.deepEqual(bare.roles.map(({ plugin }) => plugin.name), ["other"]);
});

Deno.test("a variable that matches no key is refused with the nearest name", async () => {
  const names = {
    EDGEWARD_HTTP_LISTEN: "EDGEWARD_HTTP__LISTEN",
    EDGEWARD_SIET: "EDGEWARD_SITE",
    EDGEWARD_PLUGINS__FOG_METER__WINDO: "EDGEWARD_PLUGINS__FOG_METER__WINDOW",
    EDGEWARD_PLUGINS__FGO_METER__WINDOW: "EDGEWARD_PLUGINS__FOG_METER__WINDOW",
  };
  for (const [wrong, right] of Object.entries(names)) {
    const error = await refused(head, { env: { [wrong]: "hunter2" } });
    assert.equal(error.message, `${wrong}: no key of the configuration has this name`);
    assert.equal(error.hint, `did you mean ${right}?`);
    assert.doesNotMatch(`${error.message}${error.hint}`, /hunter2/);
  }
  const far = await refused(head, { env: { EDGEWARD_PLUGINS: "{}" } });
  assert.match(far.message, /^EDGEWARD_PLUGINS: /);
});

Deno.test("an error in an override names the variable and never its value", async () => {
  const variables = {
    EDGEWARD_SITE: "hunter 2",
    EDGEWARD_LOG__LEVEL: "hunter2",
    EDGEWARD_MQTT__URL: "mqtt://ann:hunter2@broker",
    EDGEWARD_HTTP: '{ hunter2 = "x" }',
    EDGEWARD_ADMIN: "hunter2",
    EDGEWARD_PLUGINS__FOG_METER__LIMIT: "hunter2",
    EDGEWARD_PLUGINS__FOG_METER__PEERS: '[{ url = "hunter2", hunter2 = 1 }]',
    EDGEWARD_PLUGINS__FOG_METER__TARIFFS: '{ hunter2 = "x" }',
  };
  for (const [variable, value] of Object.entries(variables)) {
    const error = await refused(table, { env: { [variable]: value } });
    assert.ok(error.message.startsWith(`${variable}: `), error.message);
    assert.equal(error.line, undefined);
    assert.doesNotMatch(`${error.message}${error.hint}${error.stack}`, /hunter/);
  }
});

Deno.test("an error in an override gives an example as the variable takes it", async () => {
  const error = await refused(table, { env: { EDGEWARD_PLUGINS__FOG_METER__SHARE: "2" } });
  assert.equal(error.message, "EDGEWARD_PLUGINS__FOG_METER__SHARE: expected at most 1");
  assert.equal(error.hint, "for example: EDGEWARD_PLUGINS__FOG_METER__SHARE=0.5");
  const missing = await refused(head, { env: { EDGEWARD_PLUGINS__FOG_METER__WINDOW: "5s" } });
  assert.equal(missing.message, 'site.toml:1:1: missing key "cloud" in [plugins.fog-meter]');
  assert.equal(missing.hint, "set EDGEWARD_PLUGINS__FOG_METER__CLOUD");
});

Deno.test("what a role's schema says is dropped when it repeats an override", async () => {
  const leaky = {
    ...plain("leaky"),
    config: z.object({
      pin: z.string().default("1234").superRefine((pin, context) => {
        if (pin === "1234") return;
        context.addIssue({ code: "custom", message: "no", params: { hint: `not ${pin}` } });
      }),
      word: z.string().default("a").refine((word) => word === "a", {
        error: (issue) => `not ${issue.input}!`,
      }),
      users: z.record(z.string(), z.object({ key: z.string(), n: z.int().default(1) })).default({}),
    }),
  };
  const expected = {
    PIN: ["hunter2", "the value is not accepted", "for example: EDGEWARD_PLUGINS__LEAKY__PIN=1234"],
    WORD: [
      '"hunter2"',
      "the value is not accepted",
      "for example: EDGEWARD_PLUGINS__LEAKY__WORD=a",
    ],
    USERS: ["{ hunter2 = {} }", 'missing key "key"', 'add key = "change-me"'],
  };
  for (const [key, [value, message, hint]] of Object.entries(expected)) {
    const variable = `EDGEWARD_PLUGINS__LEAKY__${key}`;
    const error = await refused(head, { env: { [variable]: value! }, registry: registryOf(leaky) });
    assert.equal(error.message, `${variable}: ${message}`);
    assert.equal(error.hint, hint);
  }
  const env = { EDGEWARD_PLUGINS__LEAKY__USERS: '{ hunter2 = { key = "", n = "x" } }' };
  const deep = await refused(head, { env, registry: registryOf(leaky) });
  assert.equal(deep.message, "EDGEWARD_PLUGINS__LEAKY__USERS: expected a number, got a string");
  assert.equal(deep.hint, undefined);
});
