/** A site on a machine whose clock is wrong; else it is a `SiteProcess`. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { enrolmentFromJson } from "../../core/wire/enrolment.ts";
import { askSite } from "../../edge/admin_client.ts";
import { source } from "../e2e/program.ts";
import { steadyPort } from "../e2e/site_process.ts";
import type { RunningSite } from "./_system.ts";

const preload = fileURLToPath(new URL("_shifted_clock.ts", import.meta.url));

/** Writes a configuration and starts the site. @param shift milliseconds */
export async function startShifted(
  folder: string,
  role: string,
  shift: number,
): Promise<RunningSite & AsyncDisposable> {
  const ports = { http: steadyPort(), admin: steadyPort(), mqtt: steadyPort() };
  const config = join(folder, "site.toml");
  const dataDir = join(folder, "data");
  const listen = Object.entries(ports).map(([door, port]) =>
    `${door}.listen = "127.0.0.1:${port}"`
  );
  const head = ['site = "fog-1"', 'data_dir = "data"', ...listen, 'log.level = "error"'];
  await Deno.writeTextFile(config, [...head, role].join("\n"));
  let child: Deno.ChildProcess | undefined;

  async function end(signal: Deno.Signal): Promise<number> {
    child!.kill(signal);
    const { code } = await child!.status;
    child = undefined;
    return code;
  }

  const site: RunningSite & AsyncDisposable = {
    ports,
    dataDir,
    url: `http://127.0.0.1:${ports.http}`,
    async start() {
      const environment = Object.entries(Deno.env.toObject())
        .filter(([name]) => !name.startsWith("EDGEWARD_"));
      child = new Deno.Command(source.path, {
        args: [...source.leading.toSpliced(-1, 0, "--preload", preload), "run", "-c", config],
        clearEnv: true,
        env: { ...Object.fromEntries(environment), SHIFT_CLOCK: String(shift), NO_COLOR: "1" },
        ...{ stdin: "null", stdout: "null", stderr: "null" },
      }).spawn();
      for (const deadline = Date.now() + 60_000; !await isReady(ports.admin);) {
        assert.ok(Date.now() < deadline, "the site did not start");
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    async kill() {
      await end("SIGKILL");
    },
    async stop() {
      assert.equal(await end("SIGTERM"), 0);
    },
    async enrol(id) {
      const body = { kind: "meter", id, ttl: 3_600_000 };
      const enrolment = await askSite(dataDir, "/enrol", { method: "POST", body });
      return enrolmentFromJson(JSON.stringify(enrolment));
    },
    async [Symbol.asyncDispose]() {
      if (child !== undefined) await end("SIGKILL");
    },
  };
  await site.start();
  return site;
}

async function isReady(port: number): Promise<boolean> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  try {
    const { ready, http } = await (await fetch(`http://127.0.0.1:${port}/site`, { client })).json();
    return ready && http !== null;
  } catch {
    return false;
  }
}
