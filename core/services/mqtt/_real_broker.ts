/**
 * Brokers that we did not write, started by tests on free ports and killed at their end. Where a
 * program is missing its tests are skipped by name, but in CI they fail.
 */
import type { TestPki } from "./_test_pki.ts";

export const protocols = ["mqtt", "ws", "mqtts", "wss"] as const;
export type Ports = Record<typeof protocols[number], number>;

export interface RealBroker extends AsyncDisposable {
  readonly ports: Ports;
  /** Ends the process with SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again on the same ports. */
  restart(): Promise<void>;
}

/** Whether the tests of a program must be skipped here. */
export function missing(...programs: string[]): boolean {
  if (Deno.env.get("CI") === "true") return false;
  return programs.some((program) => {
    try {
      new Deno.Command(program, { args: ["-h"], stdout: "null", stderr: "null" }).outputSync();
      return false;
    } catch {
      return true;
    }
  });
}

/**
 * Mosquitto with a listener for each protocol. With `password` it knows one user, "site"; `lines` are
 * added to its configuration; `isMutual` asks for client certificates.
 */
export async function mosquitto(folder: string, options: {
  pki?: TestPki;
  password?: string;
  isMutual?: boolean;
  lines?: readonly string[];
} = {}): Promise<RealBroker> {
  const { pki, password, isMutual = false, lines = [] } = options;
  const ports = freePorts();
  const users = `${folder}/mosquitto.users`;
  if (password !== undefined) {
    const args = ["-c", "-b", users, "site", password];
    const { success } = await new Deno.Command("mosquitto_passwd", { args }).output();
    if (!success) throw new Error("mosquitto_passwd failed");
  }
  const tls = pki === undefined ? [] : [
    ...[`cafile ${pki.ca}`, `certfile ${pki.server.cert}`, `keyfile ${pki.server.key}`],
    `require_certificate ${isMutual}`,
  ];
  const config = [
    ...["persistence false", "user root", `allow_anonymous ${password === undefined}`, ...lines],
    ...(password === undefined ? [] : [`password_file ${users}`]),
    `listener ${ports.mqtt} 127.0.0.1`,
    ...[`listener ${ports.ws} 127.0.0.1`, "protocol websockets"],
    ...(pki === undefined ? [] : [
      ...[`listener ${ports.mqtts} 127.0.0.1`, ...tls],
      ...[`listener ${ports.wss} 127.0.0.1`, "protocol websockets", ...tls],
    ]),
  ];
  const file = `${folder}/mosquitto-${ports.mqtt}.conf`;
  await Deno.writeTextFile(file, config.join("\n"));
  const listening = pki === undefined ? [ports.mqtt, ports.ws] : Object.values(ports);
  return await run("mosquitto", { args: ["-c", file], ports, listening });
}

/** nats-server with MQTT: plain and WebSocket, or both with TLS, as it has one listener of each. */
export async function nats(folder: string, options: {
  pki?: TestPki;
  password?: string;
} = {}): Promise<RealBroker> {
  const { pki, password } = options;
  const ports = freePorts();
  const tls = pki === undefined
    ? ""
    : `tls { cert_file: "${pki.server.cert}", key_file: "${pki.server.key}" }`;
  const [mqtt, web] = pki === undefined ? [ports.mqtt, ports.ws] : [ports.mqtts, ports.wss];
  const user = `authorization { users: [ { user: site, password: "${password}" } ] }`;
  const config = `
    server_name: test
    host: 127.0.0.1
    port: ${freePort()}
    jetstream { store_dir: "${folder}/nats-${mqtt}" }
    mqtt { host: 127.0.0.1, port: ${mqtt}, ${tls} }
    websocket { host: 127.0.0.1, port: ${web}, ${pki === undefined ? "no_tls: true" : tls} }
    ${password === undefined ? "" : user}`;
  const file = `${folder}/nats-${mqtt}.conf`;
  await Deno.writeTextFile(file, config);
  return await run("nats-server", { args: ["-c", file], ports, listening: [mqtt, web] });
}

async function run(program: string, { args, ports, listening }: {
  args: string[];
  ports: Ports;
  listening: readonly number[];
}): Promise<RealBroker> {
  let child: Deno.ChildProcess | undefined;
  async function start() {
    child = new Deno.Command(program, { args, stdout: "null", stderr: "null" }).spawn();
    let isOver = false;
    void child.status.then(() => isOver = true);
    for (const port of listening) {
      while (!await accepts(port)) {
        if (isOver) throw new Error(`${program} has ended instead of listening`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }
  async function kill() {
    const ending = child;
    child = undefined;
    ending?.kill("SIGKILL");
    await ending?.status;
  }
  await start();
  return { ports, kill, restart: start, [Symbol.asyncDispose]: kill };
}

async function accepts(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}

function freePorts(): Ports {
  return { mqtt: freePort(), ws: freePort(), mqtts: freePort(), wss: freePort() };
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
