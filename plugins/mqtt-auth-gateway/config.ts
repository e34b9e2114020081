/** The table `[plugins.mqtt-auth-gateway]`. */
import { z } from "zod";
import { isId } from "../../core/base/id.ts";
import { duration, filePath } from "../../core/host/config/mod.ts";
import { isMethod, isPattern, matches, patternLimit } from "./permissions.ts";

/** Bytes of JSON that `config.get` gives at the most. */
const settingsLimit = 16_384;
const routeLimit = 64;

const pattern = z.string().refine(isPattern, 'expected a method, "relay.*" or "*"');

const settings = z.record(z.string(), z.json()).refine(
  (table) => new TextEncoder().encode(JSON.stringify(table)).length <= settingsLimit,
  `expected at most ${settingsLimit} bytes of JSON`,
);

const route = z.object({
  method: pattern.describe('Methods that go this way: "relay.on", "relay.*" or "*".'),
  url: z.string().refine(isHookUrl, "expected https://, or http:// on this machine").optional()
    .describe("Where calls are posted to as JSON; the answer is the call's result."),
  token_file: filePath().optional()
    .describe("File with the bearer token for the url, or env:NAME."),
  timeout: duration({ min: "100ms", max: "60s" }).prefault("5s")
    .describe("How long the url has to answer."),
  event: z.literal(true).optional()
    .describe("Calls become events of this site instead of going to a url."),
}).superRefine(({ url, token_file, event }, context) => {
  const complain = (path: string, message: string, hint: string) =>
    context.addIssue({ code: "custom", path: [path], message, params: { hint } });
  if (url === undefined && event === undefined) {
    complain("method", "the route leads nowhere", "give it a url, or event = true");
  }
  if (url !== undefined && event !== undefined) {
    complain("event", "the route has a url already", "remove one of the two");
  }
  if (url === undefined && token_file !== undefined) {
    complain("token_file", "the route has no url", "add the url that takes the token");
  }
});

const device = z.object({
  silence: duration({ min: "5s", max: "7d" }).optional()
    .describe("How long this device may say nothing before it is offline."),
  config: settings.default({}).describe("What config.get tells this device, over the site's."),
});

export const config = z.object({
  profiles: z.array(z.enum(["v2", "v1"])).min(1).max(2).default(["v2"])
    .describe(
      'What is spoken here. "v1" is the prototype\'s protocol, which is weaker: for devices that ' +
        "cannot be changed, each with a generated key that an admin has entered.",
    ),
  silence: duration({ min: "5s", max: "7d" }).prefault("60s")
    .describe("How long a device may say nothing before it is offline."),
  allow: z.array(pattern).max(patternLimit).default([
    "time",
    "echo",
    "config.get",
    "telemetry.push",
  ])
    .describe("Methods that devices may call which have no permissions of their own."),
  calls_per_second: z.number().min(0.01).max(1_000).default(10)
    .describe("How many calls a device may make in the long run, ten times as many at once."),
  calls_kept: z.int().min(0).max(1_000).default(50)
    .describe("How many of its last calls are shown of each device."),
  routes: z.array(route).max(routeLimit).default([])
    .describe(
      "Where calls go which the gateway does not answer itself, the first match counts: " +
        '{ method = "relay.*", url = "https://home.example/relay", token_file = "relay.token" } or ' +
        '{ method = "door.*", event = true }. What goes to a url needs "once" in the request.',
    ),
  v1_hooks: z.array(z.string().refine(isMethod, "expected the name of a method")).max(patternLimit)
    .default([])
    .describe("Methods routed to a url that devices of profile v1 may call too, each by its name."),
  v1_clock_skew: duration({ min: "1s", max: "1d" }).optional()
    .describe(
      "How far the clock of a device of profile v1 may be off; with it, messages that were held " +
        "back are refused.",
    )
    .meta({ example: "5m" }),
  config: settings.default({})
    .describe("What config.get tells every device."),
  devices: z.record(z.string(), device).default({})
    .describe(
      "What is different for single devices, by id: " +
        '{ pump-7 = { silence = "10m", config = { sample_every = 60 } } }.',
    ),
}).superRefine(({ profiles, v1_hooks, routes, devices }, context) => {
  const complain = (path: string[], message: string, hint: string) =>
    context.addIssue({ code: "custom", path, message, params: { hint } });
  if (!profiles.includes("v2")) {
    complain(["profiles"], "v1 is never alone", 'write profiles = ["v2", "v1"]');
  }
  for (const id of Object.keys(devices)) {
    if (isId(id)) continue;
    const hint = "use 1 to 64 letters, digits, hyphens and underscores";
    complain(["devices", id], "expected the id of a device", hint);
  }
  const isRouted = (method: string) => routes.some((route) => matches(route.method, method));
  if (v1_hooks.some((method) => isMethod(method) && !isRouted(method))) {
    const hint = "add a route for it, or remove it";
    complain(["v1_hooks"], "it names a method that no route takes", hint);
  }
});

export type Config = z.output<typeof config>;
export type Route = Config["routes"][number];

/** Tokens and calls cross no network in clear. */
function isHookUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== "" || url.password !== "") return false;
  const isHere = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  return url.protocol === "https:" || url.protocol === "http:" && isHere;
}
