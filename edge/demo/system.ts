/**
 * The sites of the demo, several hosts in one process with real sockets between them: `demo` is the
 * cloud, `gw-2` the fog with its broker. They know nothing of each other but what enrolment gave them.
 */
import { join } from "node:path";
import { parseConfig } from "../../core/host/config/mod.ts";
import { type Site, startSite } from "../../core/host/site.ts";
import { enrolmentToJson } from "../../core/wire/enrolment.ts";
import { registry } from "../plugins.ts";
import { version } from "../version.ts";

export interface DemoSystem extends AsyncDisposable {
  /** Its HTTP listener answers `/summary`. */
  readonly cloud: Site;
  readonly fog: Site;
}

const hour = 3_600_000;

/** Length of a window and how long it waits for stragglers; an uplink is quicker than both. */
export const demoWindow = { window: "2s", grace: "500ms" } as const;

/**
 * Starts the system in a data directory. The cloud listens on `port`, the fog on the one after it;
 * port 0 takes free ones. @throws CodedError "port_busy" and others of `startSite`
 */
export async function startDemo(
  options: { dataDir: string; port: number },
): Promise<DemoSystem> {
  const { dataDir, port } = options;
  await using stack = new AsyncDisposableStack();
  const next = port === 0 ? 0 : port + 1;
  const cloud = stack.use(
    await start(
      dataDir,
      "demo",
      port,
      `
[plugins.cloud-summary]
public_summary = true`,
    ),
  );
  const codeFile = join(dataDir, "cloud.json");
  if (!await exists(codeFile)) {
    const enrolment = await cloud.enrol("fog", "gw-2", { ttl: hour });
    const json = JSON.stringify({ ...enrolmentToJson(enrolment) });
    await Deno.writeTextFile(codeFile, json, { mode: 0o600 });
  }
  const fog = stack.use(
    await start(
      dataDir,
      "gw-2",
      next,
      `
[plugins.fog-aggregator]
window = "${demoWindow.window}"
grace = "${demoWindow.grace}"
code_file = "cloud.json"
cloud = "http://127.0.0.1:${cloud.http!.port}"`,
    ),
  );
  const running = stack.move();
  return { cloud, fog, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

async function start(dir: string, site: string, port: number, roles: string): Promise<Site> {
  const text = `site = "${site}"
data_dir = "${site}"
[http]
listen = "127.0.0.1:${port}"
[admin]
listen = "127.0.0.1:0"
[mqtt]
listen = "127.0.0.1:0"
${roles}
`;
  const config = await parseConfig(text, { file: `${site}.toml`, dir, registry });
  return await startSite(config, { version });
}

async function exists(file: string): Promise<boolean> {
  return await Deno.stat(file).then(() => true, () => false);
}
