/** The shape of the configuration file: the host's own keys, and a table for every role known. */
import { z } from "zod";
import { isId } from "../../base/id.ts";
import type { AnyPlugin } from "../plugin.ts";
import { listenAddress, mqttUrl } from "./_addresses.ts";
import { filePath } from "./file_path.ts";
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
  }).describe("The public listener."),
  admin: table({
    listen: listenAddress().prefault("127.0.0.1:9464")
      .describe("Address and port of health, metrics and status. Keep it on loopback."),
  }).describe("The listener for the operator's own tools."),
  mqtt: table({
    url: mqttUrl().prefault("embedded")
      .describe('Broker: "embedded", or a URL that begins with mqtt, mqtts, ws or wss.'),
    username: z.string().min(1).optional()
      .describe("User name at an external broker.")
      .meta({ example: "edgeward" }),
    password_file: filePath().optional()
      .describe("File that holds the password for the external broker.")
      .meta({ example: "/run/credentials/edgeward/mqtt" }),
    listen: listenAddress().prefault("127.0.0.1:1883")
      .describe("Address and port of the embedded broker."),
  }).describe("The broker that carries messages."),
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
  }).describe("What the program writes to standard error."),
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

/** A table that may be left out: then all its defaults hold. */
function table<Shape extends z.ZodRawShape>(shape: Shape) {
  const schema: z.ZodObject<Shape, z.core.$strict> = z.strictObject(shape);
  return schema.prefault({} as z.input<typeof schema>);
}
