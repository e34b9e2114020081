/** The shape of the configuration file: the host's own keys, and a table for every role known. */
import { z } from "zod";
import { isId } from "../../base/id.ts";
import { NoteKind } from "../../trust/log/note.ts";
import { isTopicPrefix } from "../../wire/topic_prefix.ts";
import type { AnyPlugin } from "../plugin.ts";
import { listenAddress, mqttUrl } from "./_addresses.ts";
import { filePath } from "./file_path.ts";
import { network } from "./_network.ts";
import { noteKeyText } from "./_note_key.ts";
import { refuse } from "./_refuse.ts";

/** The keys that the host itself reads. */
export const hostSchema = z.strictObject({
  site: z.string()
    .refine(isId, "expected 1 to 64 letters, digits, hyphens and underscores")
    .describe("Name of this site, as peers and the audit log know it.")
    .meta({ example: "kiosk-7" }),
  data_dir: filePath()
    .describe("Folder of the database, the site's keys and the status socket.")
    .meta({ example: "/var/lib/edgeward" }),
  http: table({
    listen: listenAddress().prefault("127.0.0.1:8080")
      .describe("Address and port that devices, peers and the console connect to."),
    public_url: z.url({ protocol: /^https?$/, error: "expected a URL that begins with http" })
      .optional()
      .describe("Address given to peers, where it is another one.")
      .meta({ example: "https://kiosk-7.example" }),
    tls_cert_file: filePath().optional()
      .describe("Certificate in PEM, then the intermediate ones; with it the listener is HTTPS.")
      .meta({ example: "/run/credentials/edgeward.service/tls.crt" }),
    tls_key_file: filePath().optional()
      .describe("The certificate's private key in PEM, not encrypted.")
      .meta({ example: "/run/credentials/edgeward.service/tls.key" }),
    client_ca_file: filePath().optional()
      .describe("Authorities in PEM whose clients alone get in.")
      .meta({ example: "/etc/edgeward/clients.crt" }),
    trusted_proxies: z.array(network()).optional()
      .describe("Proxies and networks whose X-Forwarded-For is believed.")
      .meta({ example: ["10.0.0.0/8"] }),
  }).superRefine(wholeTls).describe("The public listener."),
  admin: table({
    listen: listenAddress().prefault("127.0.0.1:9464")
      .describe("Address and port of health, metrics and status. Keep it on loopback."),
  }).describe("The listener for the operator's own tools."),
  mqtt: table({
    url: mqttUrl().prefault("embedded")
      .describe('Broker: "embedded", or a URL that begins with mqtt, mqtts, ws or wss.'),
    prefix: z.string().refine(
      isTopicPrefix,
      'expected at most 64 letters, digits, hyphens and underscores in levels: "plant/hall-2"',
    ).default("")
      .describe("Levels before every topic of this site, where it shares a broker."),
    username: z.string().min(1).optional()
      .describe("User name at an external broker.")
      .meta({ example: "edgeward" }),
    password_file: filePath().optional()
      .describe("Password for the external broker: a file, or env:NAME.")
      .meta({ example: "/run/credentials/edgeward.service/mqtt" }),
    ca_file: filePath().optional()
      .describe("Private authority of the external broker, in PEM.")
      .meta({ example: "/etc/edgeward/broker-ca.pem" }),
    cert_file: filePath().optional()
      .describe("Certificate in PEM that the external broker asks for.")
      .meta({ example: "/run/credentials/edgeward.service/mqtt.crt" }),
    key_file: filePath().optional()
      .describe("That certificate's private key in PEM, not encrypted.")
      .meta({ example: "/run/credentials/edgeward.service/mqtt.key" }),
    listen: listenAddress().prefault("127.0.0.1:1883")
      .describe("Address and port of the embedded broker."),
    users_file: filePath().optional()
      .describe("Users of the embedded broker besides site and peers.")
      .meta({ example: "/etc/edgeward/mqtt-users" }),
    max_clients: z.int().min(1).max(100_000).default(1_000)
      .describe("Clients of the embedded broker at once."),
    max_clients_per_address: z.int().min(1).max(100_000).default(256)
      .describe("Of these, how many from one address; this machine may have any number."),
  }).superRefine(wholeMqtt).describe("The broker that carries messages."),
  peers: table({
    join: z.enum(["closed", "open"]).default("closed")
      .describe('Whether devices without a code may apply: "open", or "closed" until told so.'),
  }).describe("Who may ask to be let in."),
  db: table({
    url: z.string().transform((url, context) =>
      url === "file" ? url : refuse(
        context,
        'expected "file"',
        "this version keeps its data in a file under data_dir only: remove the key",
      )
    ).prefault("file")
      .describe('Database: "file" is an embedded one under data_dir.'),
  }).describe("Where the site keeps its data."),
  log: table({
    level: z.enum(["debug", "info", "warning", "error"]).default("info")
      .describe("Least severity that is logged: debug, info, warning or error."),
    public: z.boolean().default(false)
      .describe("Whether everybody may read the entries of the site's log; else a viewer's token."),
    witnesses: z.array(z.strictObject({
      url: z.url({ protocol: /^https?$/, error: "expected a URL that begins with http" }),
      key: noteKeyText(NoteKind.cosignature),
    })).max(32).default([])
      .describe(
        'Who cosigns this site\'s log: { url = "https://fog-2.example/log", key = "NAME+ID+KEY" }.',
      ),
    quorum: z.int().min(0).max(32).optional()
      .describe("Witnesses that are enough: two thirds unless set.")
      .meta({ example: 0 }),
    witness_of: z.array(noteKeyText(NoteKind.ed25519)).max(1_000).default([])
      .describe("Keys NAME+ID+KEY of the logs that this site cosigns."),
  }).superRefine(wholeLog)
    .describe("What the program writes to standard error, and the log that nobody can rewrite."),
});

/** The whole file, given the roles that it may switch on. */
export function siteSchema(plugins: readonly AnyPlugin[]) {
  const tables = plugins.map((plugin): [string, z.ZodOptional<z.ZodObject>] => {
    const config: z.ZodObject = plugin.config;
    return [plugin.name, config.strict().optional().describe(plugin.summary)];
  });
  return hostSchema.extend({
    plugins: z.strictObject(Object.fromEntries(tables)).prefault({})
      .describe("A table switches its role on."),
  });
}

type TlsKey = "tls_cert_file" | "tls_key_file" | "client_ca_file";

/** A certificate is of no use without its key, and who asks for one has one. */
function wholeTls(
  http: Readonly<Partial<Record<TlsKey, string | undefined>>>,
  context: z.RefinementCtx,
): void {
  const beside: readonly [TlsKey, TlsKey][] = [
    ["tls_cert_file", "tls_key_file"],
    ["tls_key_file", "tls_cert_file"],
    ["client_ca_file", "tls_cert_file"],
  ];
  const lone = beside.find(([key, other]) => http[key] !== undefined && http[other] === undefined);
  if (lone === undefined) return;
  context.addIssue({
    code: "custom",
    path: [lone[0]],
    message: `expected ${lone[1]} beside it`,
    params: { hint: "set tls_cert_file and tls_key_file, or neither" },
  });
}

type MqttKey = "ca_file" | "cert_file" | "key_file" | "users_file";

/** What a broker elsewhere has no use for; the embedded one passes over what is for the others. */
function wholeMqtt(
  mqtt: { readonly url: string } & Readonly<Partial<Record<MqttKey, string | undefined>>>,
  context: z.RefinementCtx,
): void {
  const isEmbedded = mqtt.url === "embedded";
  const takesTls = isEmbedded || /^(mqtts|wss):/.test(mqtt.url);
  const rules: readonly [MqttKey, boolean, string][] = [
    ["users_file", isEmbedded, "only with the embedded broker"],
    ["ca_file", takesTls, "only with mqtts:// or wss://"],
    ["cert_file", takesTls, "only with mqtts:// or wss://"],
    ["key_file", takesTls, "only with mqtts:// or wss://"],
    ["cert_file", mqtt.key_file !== undefined, "key_file beside it"],
    ["key_file", mqtt.cert_file !== undefined, "cert_file beside it"],
  ];
  const broken = rules.find(([key, isKept]) => mqtt[key] !== undefined && !isKept);
  if (broken === undefined) return;
  const [key, , expected] = broken;
  context.addIssue({ code: "custom", path: [key], message: `expected ${expected}` });
}

/** Each witness once, and no more cosignatures than there are witnesses. */
function wholeLog(
  log: { readonly witnesses: readonly { key: string }[]; readonly quorum?: number | undefined },
  context: z.RefinementCtx,
): void {
  const { witnesses, quorum = 0 } = log;
  const names = witnesses.map(({ key }) => key.slice(0, key.indexOf("+")));
  const twice = names.findIndex((name, i) => names.indexOf(name) !== i);
  if (twice !== -1) {
    const message = "expected each witness once";
    context.addIssue({ code: "custom", path: ["witnesses", twice, "key"], message });
  }
  if (quorum > witnesses.length) {
    const message = `expected at most ${witnesses.length}, as there are witnesses`;
    context.addIssue({ code: "custom", path: ["quorum"], message });
  }
}

/** A table that may be left out: then all its defaults hold. */
function table<Shape extends z.ZodRawShape>(shape: Shape) {
  const schema: z.ZodObject<Shape, z.core.$strict> = z.strictObject(shape);
  return schema.prefault({} as z.input<typeof schema>);
}
