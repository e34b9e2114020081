/**
 * Sites at real brokers, behind one interface: the embedded broker, which lives and dies with its site,
 * Mosquitto and nats-server, as processes on ports that stay theirs. The brokers that are not ours know
 * one user, the site; devices come without a name, and may use the topics of devices and no others.
 */
import { join } from "node:path";
import { isCi } from "./program.ts";
import { SiteProcess, steadyPort } from "./site_process.ts";

export const brokerKinds = ["embedded", "mosquitto", "nats-server"] as const;
export type BrokerKind = typeof brokerKinds[number];

export interface Broker {
  readonly kind: BrokerKind;
  readonly port: number;
  /** Takes it away between two instructions; the embedded one takes its site with it. */
  kill(): Promise<void>;
  /** Brings it back, on the same port. */
  start(): Promise<void>;
}

export interface SiteAtBroker extends AsyncDisposable {
  readonly site: SiteProcess;
  readonly broker: Broker;
  /** What the configuration of another site at this broker begins with; "" at the embedded one. */
  readonly access: string;
  /** The user for whom no rules hold, as for whoever owns the broker; null at the embedded one. */
  readonly owner: { readonly username: string; readonly password: string } | null;
}

/** Whether the tests with a broker must be skipped here; in CI none is, and what is missing fails. */
export function isMissing(kind: BrokerKind): boolean {
  if (kind === "embedded" || isCi) return false;
  try {
    new Deno.Command(kind, { args: ["-h"], stdout: "null", stderr: "null" }).outputSync();
    return false;
  } catch {
    return true;
  }
}

/**
 * Starts a site, and its broker before it.
 * @param options.tables what the configuration says, keys of the root first
 * @param options.through gives the port at which the site finds a broker that is not its own
 */
export async function startSiteAt(kind: BrokerKind, folder: string, options: {
  readonly name: string;
  readonly tables: string;
  readonly through?: (port: number) => number;
}): Promise<SiteAtBroker> {
  const { name, tables, through = (port) => port } = options;
  await Deno.mkdir(folder, { recursive: true });
  await using stack = new AsyncDisposableStack();
  if (kind === "embedded") {
    const site = stack.use(await SiteProcess.start(join(folder, "site"), name, tables));
    const kept = stack.move();
    return {
      site,
      broker: {
        ...{ kind, port: site.ports.mqtt },
        kill: () => site.kill(),
        start: () => site.start(),
      },
      ...{ access: "", owner: null },
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    };
  }
  const password = crypto.randomUUID();
  const passwordFile = join(folder, "mqtt.password");
  await Deno.writeTextFile(passwordFile, password, { mode: 0o600 });
  const broker = stack.use(await BrokerProcess.start(kind, folder, password));
  const access = `mqtt.url = "mqtt://127.0.0.1:${through(broker.port)}"
mqtt.username = "site"
mqtt.password_file = "${passwordFile}"
`;
  const site = stack.use(await SiteProcess.start(join(folder, "site"), name, access + tables));
  const kept = stack.move();
  const owner = { username: "site", password };
  return { site, broker, access, owner, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

class BrokerProcess implements Broker, AsyncDisposable {
  readonly kind: BrokerKind;
  readonly port: number;
  readonly #config: string;
  #child: Deno.ChildProcess | undefined;

  private constructor(kind: BrokerKind, port: number, config: string) {
    this.kind = kind;
    this.port = port;
    this.#config = config;
  }

  static async start(
    kind: Exclude<BrokerKind, "embedded">,
    folder: string,
    password: string,
  ): Promise<BrokerProcess> {
    const port = steadyPort();
    const config = join(folder, `${kind}.conf`);
    const text = await (kind === "mosquitto" ? mosquitto : nats)(folder, { port, password });
    await Deno.writeTextFile(config, text);
    const broker = new BrokerProcess(kind, port, config);
    await broker.start();
    return broker;
  }

  async start(): Promise<void> {
    const child = this.#child = new Deno.Command(this.kind, {
      ...{ args: ["-c", this.#config], stdout: "null", stderr: "null" },
    }).spawn();
    let isOver = false;
    const end = child.status.then(() => isOver = true);
    while (!await accepts(this.port)) {
      if (isOver) throw new Error(`${this.kind} has ended instead of listening`);
      await Promise.race([end, new Promise((resolve) => setTimeout(resolve, 10))]);
    }
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    child?.kill("SIGKILL");
    await child?.status;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

interface Access {
  readonly port: number;
  /** Of the user "site". */
  readonly password: string;
}

/**
 * The general rules are those of who has no name; `%c` is the client id. Without `set_tcp_nodelay` it
 * keeps an answer back until what it sent before is acknowledged, which takes 40 ms.
 */
async function mosquitto(folder: string, { port, password }: Access): Promise<string> {
  const [users, acl] = [join(folder, "mosquitto.users"), join(folder, "mosquitto.acl")];
  const args = ["-c", "-b", users, "site", password];
  const { success } = await new Deno.Command("mosquitto_passwd", { args }).output();
  if (!success) throw new Error("mosquitto_passwd failed");
  await Deno.writeTextFile(
    acl,
    `topic write jrpc/connect/request
topic write jrpc/gateway/rx
pattern write jrpc/v2/connect/%c
pattern read jrpc/devices/%c/rx
user site
topic readwrite #
`,
  );
  return `persistence false
set_tcp_nodelay true
user root
allow_anonymous true
password_file ${users}
acl_file ${acl}
listener ${port} 127.0.0.1
`;
}

/** Topics are subjects here, with dots for slashes; the client id is in none of its rules. */
function nats(folder: string, { port, password }: Access): string {
  return `server_name: test
host: 127.0.0.1
port: ${steadyPort()}
jetstream { store_dir: "${join(folder, "nats")}" }
mqtt { host: 127.0.0.1, port: ${port} }
no_auth_user: device
authorization {
  users: [
    { user: site, password: "${password}" }
    { user: device, password: "", permissions {
      publish: ["jrpc.connect.request", "jrpc.gateway.rx", "jrpc.v2.connect.*"]
      subscribe: ["jrpc.devices.*.rx", "$MQTT.sub.>"]
    } }
  ]
}
`;
}

async function accepts(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}
